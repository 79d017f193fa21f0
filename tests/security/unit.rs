//! The systemd unit that the command prints is one, and takes from the server what the documentation says.

use std::fs;
use std::path::Path;

use harness::{Express, HELLO, Scratch, judge_unit};

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

#[test]
fn the_unit_is_right_and_leaves_the_server_little() {
    let directory = Scratch::new();
    directory.write("hello.wsgi", HELLO);
    let usual = printed(&directory, &[]);
    let of_root = usual.replace("User=www-data\nGroup=www-data\n", "").replace("CapabilityBoundingSet=\n", &of_root());
    assert!(!of_root.contains("User=") && of_root.contains("CAP_SETUID"), "{of_root}");
    for (unit, exposure) in [(usual, 20), (of_root, 40), (printed(&directory, &["--port", "80"]), 35)] {
        judge_unit(&directory, &unit, exposure);
    }
}
