//! The systemd unit of the documentation is one, and takes from the server what it says.

use std::fs;
use std::path::Path;
use std::process::Command;

/// The blocks of this kind in `docs/deployment.md`.
fn blocks() -> Vec<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/deployment.md");
    let text = fs::read_to_string(file).expect("the documentation");
    text.split("```ini\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0.to_owned())).collect()
}

/// What `systemd-analyze` says of a unit, and whether it is content.
fn analyze(words: &[&str], unit: &str) -> (bool, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mysite.service");
    // The program must be there.
    fs::write(&file, unit.replace("/srv/mysite/venv/bin/mod_wsgi-express", "/bin/true")).expect("a file");
    let done = Command::new("systemd-analyze").args(words).arg(&file).output().expect("systemd-analyze");
    let said = [done.stdout, done.stderr].concat();
    (done.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn the_unit_of_the_documentation_is_right_and_leaves_the_server_little() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        eprintln!("not run: there is no systemd-analyze");
        return;
    }
    let blocks = blocks();
    let unit = blocks.iter().find(|block| block.contains("[Unit]")).expect("a unit");
    let with = |replaced: &str| unit.replace("User=mysite\n", "").replace("CapabilityBoundingSet=\n", replaced);
    let of_root = blocks.iter().find(|block| block.contains("CAP_SETUID")).expect("what root's needs");
    let to_port_80 = blocks.iter().find(|block| block.contains("AmbientCapabilities")).expect("what a port needs");
    // Tenths: systemd calls up to 4.9 OK.
    for (unit, exposure) in [(unit.clone(), "20"), (with(of_root), "40"), (with(to_port_80), "35")] {
        let (right, said) = analyze(&["verify"], &unit);
        assert!(right && said.is_empty(), "{said}\n{unit}");
        let (little, said) = analyze(&["security", "--offline=yes", "--threshold", exposure], &unit);
        assert!(little, "{said}\n{unit}");
    }
}
