//! The sub-commands, their help, and the commands about the module.

use harness::{Express, HELLO, Httpd, Scratch, Site, product};

const COMMANDS: [&str; 5] = ["start-server", "setup-server", "module-config", "module-location", "install-module"];

#[test]
fn help_lists_the_commands_and_succeeds() {
    let help = Express::new(&["--help"]).run();
    assert_eq!(help.code, Some(0), "{}", help.text);
    for command in COMMANDS {
        assert!(help.text.contains(command), "{command} is not in {}", help.text);
    }
}

#[test]
fn without_a_command_the_commands_are_listed_and_the_code_is_2() {
    let nothing = Express::new(&[]).run();
    assert_eq!(nothing.code, Some(2), "{}", nothing.text);
    assert!(COMMANDS.iter().all(|command| nothing.text.contains(command)), "{}", nothing.text);
}

#[test]
fn every_command_explains_itself() {
    for command in COMMANDS {
        let help = Express::new(&[command, "--help"]).run();
        assert_eq!(help.code, Some(0), "{}", help.text);
        assert!(help.text.contains(command), "{}", help.text);
    }
    let start = Express::new(&["start-server", "--help"]).run().text;
    for option in [
        "--application-type",
        "--url-alias",
        "--working-directory",
        "--processes",
        "--port",
        "--server-root",
        "--log-to-terminal",
    ] {
        assert!(start.contains(option), "{option}");
    }
}

#[test]
fn version_is_printed() {
    let version = Express::new(&["--version"]).run();
    assert_eq!(version.code, Some(0), "{}", version.text);
    assert!(version.text.chars().any(|c| c.is_ascii_digit()) && version.text.contains('.'), "{}", version.text);
}

#[test]
fn module_config_names_the_module_and_the_python() {
    let location = Express::new(&["module-location"]).run().text;
    let module = location.trim_end();
    assert!(module.starts_with('/') && std::path::Path::new(module).is_file(), "{location}");
    let home = product().python("sys.prefix");
    let wanted = format!("LoadModule wsgi_module \"{module}\"\nWSGIPythonHome \"{home}\"\n");
    assert_eq!(Express::new(&["module-config"]).run().text, wanted);
}

#[test]
fn an_installed_module_serves_in_an_apache() {
    let folder = Scratch::new();
    let install = Express::new(&["install-module", "--modules-directory", &folder.path().display().to_string()]).run();
    assert_eq!(install.code, Some(0), "{}", install.text);
    assert!(
        install.text.contains(&format!("LoadModule wsgi_module \"{}/", folder.path().display())),
        "{}",
        install.text
    );
    let site = Httpd::site("", HELLO).module_config(&install.text).start();
    assert_eq!(site.get("/").text(), "hello");
    site.finish();
}

#[test]
fn a_folder_for_the_module_that_is_not_there_is_named() {
    let install = Express::new(&["install-module", "--modules-directory", "/no/such/folder"]).run();
    assert!(!matches!(install.code, Some(0) | None), "{}", install.text);
    assert!(install.text.contains("/no/such/folder") && !install.text.contains("Traceback"), "{}", install.text);
}
