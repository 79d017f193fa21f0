//! Asks Apache for its configuration.

use std::process::{Command, Output, Stdio};

use camino::{Utf8Path, Utf8PathBuf};
use wsgi_unix::files::{self, Owners};

use crate::finding::Finding;
use crate::options::Layout;
use crate::plan::{Caller, Directory, Installation, PlanError};

use super::tree::{self, Directive};

/// A configuration as Apache has read it.
pub struct Configuration {
    /// The path of its main file.
    pub file: Utf8PathBuf,
    /// The directives in that file, and in those that it includes.
    pub directives: Vec<Directive>,
    /// Names of the modules that are loaded, without `_module`.
    pub modules: Vec<String>,
    /// The warnings that Apache has printed.
    pub warnings: Vec<String>,
}

/// Asks Apache, or returns what keeps it from answering.
pub fn ask(file: Option<&Utf8Path>, layout: &Layout, caller: &Caller) -> Result<Configuration, Finding> {
    let failed = |error: PlanError| Finding::error("apache", error);
    let here = Directory::new(&caller.directory);
    let installation = Installation::find(layout, &here).map_err(failed)?;
    let httpd = &installation.httpd;
    let file = match file {
        Some(file) => here.existing("-f", file).map_err(failed)?,
        None => usual(httpd).ok_or_else(|| {
            Finding::error("apache", format!("{httpd} does not tell its configuration; name it with -f FILE"))
        })?,
    };
    let variables = variables(&file, caller)?;
    let run = |words: &[&str]| {
        let output = command(httpd, &file, variables.as_deref()).args(words).output();
        output.map_err(|error| {
            Finding::error(
                "apache",
                format!("cannot run {httpd}: {error}; name Apache's program with --httpd-executable"),
            )
        })
    };
    let modules = run(&["-t", "-D", "DUMP_MODULES"])?;
    if !modules.status.success() {
        return Err(Finding::error("syntax", refusal(&modules, &file)));
    }
    let names = names(&String::from_utf8_lossy(&modules.stdout));
    let info = format!("LoadModule info_module {}/mod_info.so", installation.modules_directory());
    let dumped = if names.iter().any(|name| name == "info") {
        run(&["-t", "-D", "DUMP_CONFIG"])?
    } else {
        run(&["-t", "-D", "DUMP_CONFIG", "-C", &info])?
    };
    if !dumped.status.success() {
        let text = format!("Apache cannot list its configuration ({}); install mod_info", refusal(&dumped, &file));
        return Err(Finding::error("apache", text));
    }
    let stderr = String::from_utf8_lossy(&modules.stderr).into_owned();
    Ok(Configuration {
        directives: tree::read(&String::from_utf8_lossy(&dumped.stdout)),
        modules: names,
        warnings: stderr.lines().filter_map(warning).collect(),
        file,
    })
}

/// The names in `httpd -M`'s list.
fn names(text: &str) -> Vec<String> {
    let name = |line: &str| Some(line.trim().split(' ').next()?.strip_suffix("_module")?.to_owned());
    text.lines().filter_map(name).collect()
}

/// Returns the message of a warning, where a line on standard error is one.
fn warning(line: &str) -> Option<String> {
    let (_, message) = line.split_once(":warn] ").or_else(|| line.split_once(":error] "))?;
    let message = message.split_once("] ").map_or(message, |(_, message)| message);
    Some(message.to_owned())
}

fn refusal(output: &Output, file: &Utf8Path) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    let lines: Vec<_> = said.lines().filter(|line| !line.contains(":warn] ") && !line.contains(":notice] ")).collect();
    format!("Apache refuses {file}: {}", lines.join(" "))
}

/// Finds the file that Apache reads without being told.
fn usual(httpd: &Utf8Path) -> Option<Utf8PathBuf> {
    let output = Command::new(httpd).arg("-V").stdin(Stdio::null()).output().ok()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let value = |name: &str| {
        said.lines().find_map(|line| {
            Some(line.trim().strip_prefix("-D ")?.strip_prefix(name)?.trim_matches(['=', '"']).to_owned())
        })
    };
    Some(Utf8Path::new(&value("HTTPD_ROOT")?).join(value("SERVER_CONFIG_FILE")?))
}

/// Finds the shell's file of variables that belongs to the configuration, as on Debian and in our own server roots.
fn variables(file: &Utf8Path, caller: &Caller) -> Result<Option<Utf8PathBuf>, Finding> {
    let Some(variables) = file.parent().map(|directory| directory.join("envvars")).filter(|path| path.is_file()) else {
        return Ok(None);
    };
    if caller.uid == 0 {
        // What a shell of root's carries out.
        files::check_file(variables.as_std_path(), &Owners::own())
            .map_err(|refused| Finding::error("permissions", refused))?;
    }
    Ok(Some(variables))
}

fn command(httpd: &Utf8Path, file: &Utf8Path, variables: Option<&Utf8Path>) -> Command {
    let mut command = match variables {
        None => Command::new(httpd),
        Some(variables) => {
            let mut shell = Command::new("/bin/sh");
            shell.args([
                "-c",
                "variables=$1; shift; . \"$variables\" >/dev/null; exec \"$@\"",
                "sh",
                variables.as_str(),
                httpd.as_str(),
            ]);
            shell
        }
    };
    command.args(["-f", file.as_str()]).stdin(Stdio::null());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_and_warnings_are_found() {
        assert_eq!(
            names("Loaded Modules:\n core_module (static)\n mpm_event_module (shared)\n"),
            ["core", "mpm_event"]
        );
        let line =
            "[Fri Nov 27 00:08:06.065887 2026] [wsgi:warn] [pid 19279:tid 19279] WSGI1100: WSGIScriptAlias names";
        assert_eq!(warning(line).as_deref(), Some("WSGI1100: WSGIScriptAlias names"));
        assert_eq!(warning("[x] [core:notice] [pid 1] hello"), None);
    }
}
