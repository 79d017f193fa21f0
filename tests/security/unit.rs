//! The systemd unit that the command prints is one, and takes from the server what the documentation says.

use std::fs;
use std::path::Path;

use harness::{Express, HELLO, Scratch, judge_unit};

/// The capabilities of a unit that root's server needs, as the documentation has them, on whichever page.
fn of_root() -> String {
    let pages = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")).expect("the documentation");
    let pages =
        pages.map(|page| page.expect("a page").path()).filter(|path| path.extension().is_some_and(|e| e == "md"));
    let mut texts = pages.map(|path| fs::read_to_string(path).expect("text"));
    let of_page = |text: &str| {
        let blocks = text.split("```ini\n").skip(1).filter_map(|rest| rest.split_once("```"));
        blocks.map(|(block, _)| block.to_owned()).find(|block| block.contains("CAP_SETUID"))
    };
    texts.find_map(|text| of_page(&text)).expect("what root's needs")
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
