//! What Apache says of the configuration that would be generated, in a server root that is made for that and removed.

use std::os::unix::fs::DirBuilderExt;
use std::process::{Command, Stdio};

use camino::{Utf8Path, Utf8PathBuf};

use crate::facts::Facts;
use crate::files;
use crate::finding::Finding;
use crate::options::Options;
use crate::plan::{Caller, Plan};
use crate::self_signed;

/// A directory that is removed with everything in it when this goes.
struct Scratch(Utf8PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed does no harm, and the findings count.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Returns the finding, if Apache refuses the configuration. `plan` is that of the server root that is meant.
pub fn finding(plan: &Plan, options: &Options, facts: &Facts, caller: &Caller) -> Option<Finding> {
    let refused = |text: String| Finding::error("configuration", text);
    match refusal(plan, options, facts, caller) {
        Ok(None) => None,
        Ok(Some(text)) => Some(refused(format!(
            "Apache refuses its configuration: {text}; correct that file or the option that it comes from"
        ))),
        Err(reason) => Some(Finding::warning(
            "configuration",
            format!(
                "Apache could not be asked about its configuration: {reason}; run apachectl configtest after setup-server"
            ),
        )),
    }
}

fn refusal(plan: &Plan, options: &Options, facts: &Facts, caller: &Caller) -> Result<Option<String>, String> {
    let place = std::env::temp_dir().join(format!("mod_wsgi-check-{}", std::process::id()));
    let place = Utf8PathBuf::from_path_buf(place).map_err(|path| path.display().to_string())?;
    std::fs::DirBuilder::new().mode(0o711).create(&place).map_err(|error| format!("{place}: {error}"))?;
    let scratch = Scratch(place);
    let mut options = options.clone();
    options.layout.server_root = Some(scratch.0.join("root"));
    let tried = Plan::new(&options, facts, caller).map_err(|error| error.to_string())?;
    let texts = files::render(&tried).map_err(|error| error.to_string())?;
    files::write(&tried, &texts, caller.uid, true).map_err(|error| error.to_string())?;
    self_signed::certificate(&tried).map_err(|error| error.to_string())?;
    let done = Command::new(tried.control.path())
        .arg("configtest")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    let text = || words(&String::from_utf8_lossy(&done.stderr), &tried.root.path, &plan.root.path);
    Ok((!done.status.success()).then(text))
}

/// Returns what Apache says on one line, with the server root that is meant.
fn words(said: &str, tried: &Utf8Path, meant: &Utf8Path) -> String {
    let lines = said.lines().map(|line| match line.split_once(": ") {
        Some((number, rest)) if number.starts_with("AH0") => rest,
        _ => line,
    });
    lines.collect::<Vec<_>>().join(" ").replace(tried.as_str(), meant.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_that_is_named_is_the_one_that_would_be_made() {
        let said = "AH00526: Syntax error on line 3 of /tmp/x/root/httpd.conf:\nInvalid command 'Lisen'\n";
        let told = words(said, "/tmp/x/root".into(), "/srv/root".into());
        assert_eq!(told, "Syntax error on line 3 of /srv/root/httpd.conf: Invalid command 'Lisen'");
    }
}
