//! The Python interpreter that a group runs, and the code that it runs first.

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use wsgi_wire::control::Spawn;

/// The code that finds the engine and starts it; see the comments in it.
pub const BOOT: &str = include_str!("boot.py");

/// The directories in which `python3` is looked for besides PATH, which is short in a service's environment.
const USUAL: [&str; 3] = ["/usr/local/bin", "/usr/bin", "/bin"];

/// Why there is no interpreter.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InterpreterError {
    /// The directory that the configuration names has no interpreter.
    #[error(
        "{option} '{}' has no Python interpreter (no bin/python, bin/python3 or bin/python3.*): it must name a virtual environment or the prefix of an installation",
        home.display()
    )]
    InHome {
        /// The directive or option.
        option: String,
        /// The value of `python-home`.
        home: PathBuf,
    },
    /// There is no interpreter on PATH.
    #[error(
        "there is no python3 on PATH, in /usr/local/bin or in /usr/bin: install Python or name one with WSGIPythonHome"
    )]
    OnPath,
}

/// Returns the path of the group's interpreter, as it is called after a `chroot`. Its own name is kept, whatever it
/// links to: that is how Python knows that it is in a virtual environment.
pub fn find(spawn: &Spawn) -> Result<PathBuf, InterpreterError> {
    let root = spawn.chroot.as_ref().map(|root| Path::new(OsStr::from_bytes(root)));
    match &spawn.python_home {
        Some(home) => {
            let home = PathBuf::from(OsStr::from_bytes(home));
            let missing = || InterpreterError::InHome { option: spawn.python_home_from.clone(), home: home.clone() };
            in_bin(&home.join("bin"), root).ok_or_else(missing)
        }
        None => {
            let path = env::var_os("PATH").unwrap_or_default();
            let dirs = env::split_paths(&path).chain(USUAL.map(PathBuf::from));
            dirs.map(|dir| dir.join("python3")).find(|file| is_program(file, root)).ok_or(InterpreterError::OnPath)
        }
    }
}

/// Finds the interpreter in a directory: `python`, which every virtual environment has; `python3`; or the latest
/// `python3.N`, which an installation may have alone.
fn in_bin(bin: &Path, root: Option<&Path>) -> Option<PathBuf> {
    let plain = ["python", "python3"].into_iter().map(|name| bin.join(name)).find(|file| is_program(file, root));
    plain.or_else(|| {
        let minor = |name: &OsString| name.to_str()?.strip_prefix("python3.")?.parse::<u32>().ok();
        let entries = seen_from_outside(bin, root).read_dir().ok()?.flatten();
        let latest = entries.filter_map(|entry| minor(&entry.file_name())).max()?;
        Some(bin.join(format!("python3.{latest}"))).filter(|file| is_program(file, root))
    })
}

fn is_program(file: &Path, root: Option<&Path>) -> bool {
    let outside = seen_from_outside(file, root);
    match root {
        None => outside.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0),
        // A link in there need not lead anywhere from here.
        Some(_) => outside.symlink_metadata().is_ok(),
    }
}

fn seen_from_outside(path: &Path, root: Option<&Path>) -> PathBuf {
    match root {
        None => path.to_path_buf(),
        Some(root) => root.join(path.strip_prefix("/").unwrap_or(path)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn program(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn the_plain_name_wins_and_of_the_others_the_latest() {
        let dir = tempfile::tempdir().unwrap();
        let bin = dir.path().join("bin");
        assert_eq!(in_bin(&bin, None), None);
        for name in ["python3.9", "python3.13", "python3.13-config"] {
            program(&bin.join(name));
        }
        assert_eq!(in_bin(&bin, None), Some(bin.join("python3.13")));
        program(&bin.join("python"));
        assert_eq!(in_bin(&bin, None), Some(bin.join("python")));
    }

    #[test]
    fn the_code_that_runs_first_ends_as_the_supervisor_expects_it() {
        let ends: Vec<String> =
            BOOT.lines().filter_map(|line| line.trim().strip_prefix("sys.exit(")).map(str::to_owned).collect();
        assert_eq!(ends, vec![format!("{})", wsgi_wire::control::FAILED_AT_START); 2]);
    }

    #[test]
    fn behind_a_chroot_paths_are_those_inside() {
        let root = tempfile::tempdir().unwrap();
        program(&root.path().join("venv/bin/python"));
        assert_eq!(in_bin(Path::new("/venv/bin"), Some(root.path())), Some("/venv/bin/python".into()));
        assert_eq!(in_bin(Path::new("/venv/bin"), None), None);
    }

    #[test]
    fn a_file_that_nobody_may_execute_is_no_interpreter() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("python");
        fs::write(&file, "").unwrap();
        assert!(!is_program(&file, None));
    }
}
