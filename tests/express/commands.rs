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
fn help_is_short_and_has_examples_and_all_of_it_is_there_for_the_asking() {
    for command in ["start-server", "setup-server", "check"] {
        let short = Express::new(&[command, "--help"]).env("COLUMNS", "80").run();
        let all = Express::new(&[command, "--help-all"]).env("COLUMNS", "80").run();
        assert_eq!((short.code, all.code), (Some(0), Some(0)), "{short:?}");
        let lines = |text: &str| text.lines().count();
        assert!(lines(&short.text) < 140 && lines(&all.text) > 250, "{}", short.text);
        for text in ["Examples:", "--help-all", "--port", "Processes and threads:"] {
            assert!(short.text.contains(text), "{text}: {}", short.text);
        }
        assert!(all.text.contains("--response-flush-delay") && !short.text.contains("--response-flush-delay"));
    }
}

#[test]
fn a_misspelt_option_gets_the_nearest() {
    for (given, meant) in
        [("--proceses", "--processes"), ("--url-alais", "--url-alias"), ("--log-terminal", "--log-to-terminal")]
    {
        let done = Express::new(&["start-server", given, "2"]).run();
        assert!(done.code == Some(2) && done.text.contains(&format!("'{meant}'")), "{done:?}");
    }
}

#[test]
fn manual_pages_and_completions_are_installed() {
    let share = product().express().parent().and_then(std::path::Path::parent).expect("an environment").join("share");
    for (file, named) in [
        ("man/man1/mod_wsgi-express.1", "start\\-server"),
        ("man/man1/mod_wsgi-express-start-server.1", "\\-\\-response\\-flush\\-delay"),
        // One that `--help` leaves out has its words, too.
        ("man/man1/mod_wsgi-express-start-server.1", "The entry point; wins over ENTRY"),
        ("man/man1/mod_wsgi-express-start-server.1", "start\\-server\\fR [ENTRY] [OPTION ...]"),
        ("bash-completion/completions/mod_wsgi-express", "--response-flush-delay"),
        ("zsh/site-functions/_mod_wsgi-express", "--response-flush-delay"),
        ("fish/vendor_completions.d/mod_wsgi-express.fish", "response-flush-delay"),
    ] {
        let text = std::fs::read_to_string(share.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(text.contains(named), "{file}");
        assert!(!text.contains("write-documents") && !text.contains("judge"), "{file} has what is not for people");
    }
    let bash = share.join("bash-completion/completions/mod_wsgi-express").display().to_string();
    let ask = format!(
        ". {bash}; COMP_WORDS=(mod_wsgi-express start-server --proc); COMP_CWORD=2; _mod_wsgi__express mod_wsgi-express --proc start-server; echo ${{COMPREPLY[@]}}"
    );
    let Ok(done) = std::process::Command::new("bash").args(["-c", &ask]).output() else {
        return harness::cannot_run("what bash completes", "there is no bash");
    };
    let replies = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(replies.contains("--processes") && replies.contains("--process-group"), "{replies} {done:?}");
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
    let directory = Scratch::new();
    let install =
        Express::new(&["install-module", "--modules-directory", &directory.path().display().to_string()]).run();
    assert_eq!(install.code, Some(0), "{}", install.text);
    assert!(
        install.text.contains(&format!("LoadModule wsgi_module \"{}/", directory.path().display())),
        "{}",
        install.text
    );
    let site = Httpd::site("", HELLO).module_config(&install.text).start();
    assert_eq!(site.get("/").text(), "hello");
    site.finish();
}

#[test]
fn a_directory_for_the_module_that_is_not_there_is_named() {
    let install = Express::new(&["install-module", "--modules-directory", "/no/such/directory"]).run();
    assert!(!matches!(install.code, Some(0) | None), "{}", install.text);
    assert!(install.text.contains("/no/such/directory") && !install.text.contains("Traceback"), "{}", install.text);
}
