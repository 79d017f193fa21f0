//! What systemd itself says of a unit.

use std::process::{Command, Output};

use crate::product::cannot_run;
use crate::scratch::Scratch;

/// Has `systemd-analyze` judge the text of a unit: it knows every line of it, and finds an exposure, in tenths, of this
/// at the most (it calls up to 49 OK). What cannot be judged on this machine is said.
pub fn judge_unit(directory: &Scratch, unit: &str, exposure: u32) {
    const NAME: &str = "judged.service";
    let file = directory.write(NAME, unit);
    // The tool itself minds files that may be executed.
    directory.set_mode(NAME, 0o644);
    let analyze = |words: &[&str]| Command::new("systemd-analyze").args(words).arg(&file).output();
    let said = |done: &Output| [&*done.stdout, &*done.stderr].concat();
    let Ok(verified) = analyze(&["verify"]) else {
        return cannot_run("what systemd-analyze says of the unit", "there is no systemd-analyze");
    };
    let text = String::from_utf8_lossy(&said(&verified)).into_owned();
    assert!(verified.status.success() && text.is_empty(), "{text}\n{unit}");
    let threshold = format!("--threshold={exposure}");
    let judged = analyze(&["security", "--offline=yes", "--no-pager", &threshold]).expect("it has just run");
    let text = String::from_utf8_lossy(&said(&judged)).into_owned();
    if text.contains("unrecognized option") {
        return cannot_run("systemd-analyze security --offline", "this systemd does not know that");
    }
    assert!(judged.status.success(), "{text}\n{unit}");
}
