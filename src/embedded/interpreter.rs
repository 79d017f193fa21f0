//! Which Python an Apache child loads, and where its library is. The interpreter itself is asked.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Prints the executable, then every place where the shared library may be, the likeliest first.
const QUESTION: &str = r#"
import os, sys, sysconfig
var = lambda name: sysconfig.get_config_var(name) or ""
names = dict.fromkeys([var("INSTSONAME"), var("LDLIBRARY"), f"libpython{var('LDVERSION')}.so.1.0"])
names = [name for name in names if ".so" in name or ".dylib" in name]
names += [f"python{sys.version_info[0]}{sys.version_info[1]}.dll"] if os.name == "nt" else []
directories = [sys.base_prefix] if os.name == "nt" else [var("LIBDIR"), os.path.join(var("LIBDIR"), var("MULTIARCH")), os.path.join(sys.base_prefix, "lib"), var("LIBPL")]
paths = [os.path.join(directory, name) for directory in directories for name in names]
print(sys.executable, *[path for path in paths if os.path.exists(path)], *names, sep="\n")
"#;

/// Where it is in a virtual environment, or in the prefix of an installation.
const PROGRAMS: [&str; 2] =
    if cfg!(windows) { ["Scripts\\python.exe", "python.exe"] } else { ["bin/python", "bin/python3"] };

/// An interpreter that can be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The program, by which Python finds its virtual environment.
    pub executable: PathBuf,
    /// Where its shared library may be, the likeliest first; the last ones are plain names for the system's loader.
    pub libraries: Vec<PathBuf>,
}

/// Why no interpreter can be loaded.
#[derive(Debug, thiserror::Error)]
pub enum InterpreterError {
    /// `WSGIPythonHome` has no interpreter in it.
    #[error(
        "WSGIPythonHome {0:?} has no bin/python: it must name a virtual environment or the prefix of an installation"
    )]
    NoInterpreter(PathBuf),
    /// The interpreter cannot be run.
    #[error(
        "{0:?} cannot be run to find its library: {1}; embedded mode needs an interpreter that Apache's user may run"
    )]
    NotRun(PathBuf, std::io::Error),
    /// The interpreter ran and said nothing of use.
    #[error("{0:?} does not tell where its library is: {1}")]
    NoAnswer(PathBuf, String),
}

/// The interpreter of `WSGIPythonHome`, or `python3` on PATH.
///
/// # Errors
/// [`InterpreterError`]
pub fn find(home: Option<&[u8]>) -> Result<Found, InterpreterError> {
    let program = match home {
        None => PathBuf::from(if cfg!(windows) { "python" } else { "python3" }),
        Some(home) => {
            let home = PathBuf::from(&*wsgi_unix::native(home));
            PROGRAMS
                .map(|name| home.join(name))
                .into_iter()
                .find(|p| p.exists())
                .ok_or_else(|| InterpreterError::NoInterpreter(home.to_owned()))?
        }
    };
    let output = Command::new(&program)
        .args(["-I", "-c", QUESTION])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| InterpreterError::NotRun(program.clone(), error))?;
    answer(&output.stdout)
        .ok_or_else(|| InterpreterError::NoAnswer(program, String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

fn answer(output: &[u8]) -> Option<Found> {
    let lines = output.split(|b| *b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let mut lines = lines.filter(|line| !line.is_empty());
    let mut path = || lines.next().map(|line| PathBuf::from(&*wsgi_unix::native(line)));
    let executable = path()?;
    let libraries: Vec<PathBuf> = std::iter::from_fn(path).collect();
    (!libraries.is_empty()).then_some(Found { executable, libraries })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_first_line_is_the_program_and_the_others_its_libraries() {
        let found = answer(b"/venv/bin/python\n/usr/lib/libpython3.11.so.1.0\nlibpython3.11.so.1.0\n").unwrap();
        assert_eq!(found.executable, Path::new("/venv/bin/python"));
        assert_eq!(found.libraries.len(), 2);
        assert_eq!(answer(b"/venv/bin/python\n"), None);
        assert_eq!(answer(b""), None);
    }

    #[test]
    fn a_home_without_an_interpreter_is_named() {
        let error = find(Some(b"/nowhere")).unwrap_err().to_string();
        assert!(error.contains("WSGIPythonHome \"/nowhere\""), "{error}");
    }
}
