//! The systemd unit that the command prints is one, and takes from the server what the documentation says.

use std::fs;
use std::path::Path;
use std::process::Command;

use harness::{Express, HELLO, Scratch, cannot_run};

/// The capabilities of a unit that root's server needs, as `docs/deployment.md` has them.
fn of_root() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/deployment.md");
    let text = fs::read_to_string(file).expect("the documentation");
    let mut blocks = text.split("```ini\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0.to_owned()));
    blocks.find(|block| block.contains("CAP_SETUID")).expect("what root's needs")
}

/// The unit of a site whose command has these words more.
fn printed(directory: &Scratch, words: &[&str]) -> String {
    let site = ["setup-server", "hello.wsgi", "--systemd", "--user", "www-data", "--group", "www-data"];
    let done = Express::new(&[&site[..], words].concat()).within(directory.path()).run();
    assert_eq!(done.code, Some(0), "{done:?}");
    done.text
}

/// What `systemd-analyze` says of a unit, and whether it is content.
fn analyze(directory: &Scratch, words: &[&str], unit: &str) -> (bool, String) {
    let file = directory.write("mysite.service", unit);
    // The tool itself minds files that may be executed.
    directory.set_mode("mysite.service", 0o644);
    let done = Command::new("systemd-analyze").args(words).arg(&file).output().expect("systemd-analyze");
    let said = [done.stdout, done.stderr].concat();
    (done.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn the_unit_is_right_and_leaves_the_server_little() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        return cannot_run("what systemd-analyze says of the unit", "there is no systemd-analyze");
    }
    let directory = Scratch::new();
    directory.write("hello.wsgi", HELLO);
    let usual = printed(&directory, &[]);
    let of_root = usual.replace("User=www-data\nGroup=www-data\n", "").replace("CapabilityBoundingSet=\n", &of_root());
    assert!(!of_root.contains("User=") && of_root.contains("CAP_SETUID"), "{of_root}");
    // Tenths: systemd calls up to 4.9 OK.
    for (unit, exposure) in [(usual, "20"), (of_root, "40"), (printed(&directory, &["--port", "80"]), "35")] {
        let (right, said) = analyze(&directory, &["verify"], &unit);
        assert!(right && said.is_empty(), "{said}\n{unit}");
        let (little, said) = analyze(&directory, &["security", "--offline=yes", "--threshold", exposure], &unit);
        assert!(little, "{said}\n{unit}");
    }
}
