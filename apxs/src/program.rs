//! Finding programs and reading what they print.

use std::ffi::OsStr;
use std::fs::Permissions;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::error::Error;

/// Where server programs are that an ordinary user's PATH does not name.
const SERVER_DIRS: [&str; 4] = ["/usr/sbin", "/usr/local/sbin", "/sbin", "/opt/homebrew/bin"];

/// The program called `name` on PATH or where server programs are; a `name` with a slash is its path.
pub fn find(name: &OsStr) -> Option<PathBuf> {
    if name.as_encoded_bytes().contains(&b'/') {
        return Some(PathBuf::from(name)).filter(|path| is_executable(path));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path: Vec<_> = std::env::split_paths(&path).collect();
    find_in(name, on_path.into_iter().chain(SERVER_DIRS.map(PathBuf::from)))
}

/// The program called `name` in the first of the directories that has it.
pub fn find_in(name: &OsStr, dirs: impl IntoIterator<Item = PathBuf>) -> Option<PathBuf> {
    dirs.into_iter().map(|dir| dir.join(name)).find(|path| is_executable(path))
}

/// Whether this is a file that somebody may execute.
pub fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.is_file() && has_right(&file.permissions()))
}

#[cfg(unix)]
fn has_right(permissions: &Permissions) -> bool {
    use std::os::unix::fs::PermissionsExt;
    permissions.mode() & 0o111 != 0
}

/// On Windows the name says it.
#[cfg(not(unix))]
fn has_right(_permissions: &Permissions) -> bool {
    true
}

/// What a program prints on standard output, without white space around it.
pub fn output(program: &Path, arguments: &[&str]) -> Result<String, Error> {
    let output = run(program, arguments)?;
    if !output.status.success() {
        return Err(Error::Failed {
            command: format!("{} {}", program.display(), arguments.join(" ")),
            status: output.status,
            message: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        });
    }
    Ok(text(&output))
}

/// What a program prints on standard output, however it ends.
pub fn output_anyway(program: &Path, arguments: &[&str]) -> Result<String, Error> {
    run(program, arguments).map(|output| text(&output))
}

fn run(program: &Path, arguments: &[&str]) -> Result<Output, Error> {
    let result = Command::new(program).args(arguments).env("LC_ALL", "C").output();
    result.map_err(|source| Error::Run { program: program.to_path_buf(), source })
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_searched_and_a_path_is_taken_as_it_is() {
        let sh = find(OsStr::new("sh")).unwrap();
        assert!(sh.is_absolute());
        assert_eq!(find(OsStr::new("/bin/sh")), Some("/bin/sh".into()));
        assert_eq!(find(OsStr::new("no-such-program-here")), None);
        assert_eq!(find(OsStr::new("/bin")), None, "a directory is no program");
    }

    #[test]
    fn a_failure_tells_what_was_run_and_what_it_said() {
        let error = output(Path::new("/bin/sh"), &["-c", "echo 'no such thing' >&2; exit 4"]).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("/bin/sh -c") && text.contains("no such thing") && text.contains('4'), "{text}");
    }
}
