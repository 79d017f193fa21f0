//! Questions to the server program itself, for machines that run Apache but have no development package.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::program;
use crate::version::{ModuleMagic, Version};

/// The directories in which distributions put the modules; the directory `modules` below HTTPD_ROOT comes first.
const MODULE_DIRS: [&str; 9] = [
    "/usr/lib/apache2/modules",        // Debian, Ubuntu
    "/usr/lib64/httpd/modules",        // Fedora, RHEL
    "/usr/lib/httpd/modules",          // Arch, 32-bit Fedora
    "/usr/lib64/apache2",              // openSUSE
    "/usr/lib/apache2",                // Alpine
    "/usr/local/libexec/apache24",     // FreeBSD
    "/opt/homebrew/lib/httpd/modules", // Homebrew on Apple silicon
    "/usr/local/lib/httpd/modules",    // Homebrew on Intel
    "/usr/libexec/apache2",            // macOS's own
];

/// The facts that a server program says of itself.
#[derive(Debug, PartialEq, Eq)]
pub struct Server {
    /// The value of HTTPD_ROOT.
    pub root: PathBuf,
    /// The release of httpd.
    pub version: Version,
    /// The module magic number.
    pub mmn: ModuleMagic,
}

/// Finds the first program that is an Apache, and asks it.
pub fn find() -> Result<(PathBuf, Server), Error> {
    let mut reason = Error::NoServer;
    for name in ["apache2", "httpd"] {
        let Some(program) = program::find(OsStr::new(name)) else { continue };
        match ask(&program) {
            Ok(server) => return Ok((program, server)),
            Err(error) => reason = error,
        }
    }
    Err(reason)
}

/// Asks the server program for the facts.
pub fn ask(program: &Path) -> Result<Server, Error> {
    // Where the standard configuration does not load (Debian's needs variables of a wrapper script) the exit status is
    // 1 after a complete answer.
    parse(program, &program::output_anyway(program, &["-V"])?)
}

/// Reads the answer to `httpd -V`.
fn parse(program: &Path, answer: &str) -> Result<Server, Error> {
    let missing = |what| Error::NoVersion { origin: program.to_path_buf(), what };
    Ok(Server {
        root: setting(answer, "HTTPD_ROOT").ok_or_else(|| missing("HTTPD_ROOT"))?.into(),
        version: Version::from_server(answer).ok_or_else(|| missing("the release of the server"))?,
        mmn: ModuleMagic::from_server(answer).ok_or_else(|| missing("the module magic number"))?,
    })
}

/// Finds the value in a line ` -D NAME="value"`.
fn setting<'t>(answer: &'t str, name: &str) -> Option<&'t str> {
    answer.lines().find_map(|line| {
        let rest = line.trim_start().strip_prefix("-D ")?.strip_prefix(name)?.strip_prefix("=\"")?;
        rest.split_once('"').map(|(value, _)| value)
    })
}

/// The first usual directory that has modules in it.
pub fn module_directory(root: &Path) -> Result<PathBuf, Error> {
    let candidates: Vec<_> = std::iter::once(root.join("modules")).chain(MODULE_DIRS.map(PathBuf::from)).collect();
    match candidates.iter().find(|dir| has_modules(dir)) {
        Some(dir) => Ok(dir.clone()),
        None => Err(Error::NoModules { searched: candidates }),
    }
}

fn has_modules(dir: &Path) -> bool {
    let is_module = |name: &OsStr| name.to_str().is_some_and(|name| name.starts_with("mod_") && name.ends_with(".so"));
    dir.read_dir().is_ok_and(|entries| entries.flatten().any(|entry| is_module(&entry.file_name())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBIAN: &str = "Server version: Apache/2.4.62 (Debian)\nServer built:   2024-10-04T15:21:08\n\
        Server's Module Magic Number: 20120211:131\nServer MPM:     \nServer compiled with....\n -D APR_HAS_SENDFILE\n \
        -D DYNAMIC_MODULE_LIMIT=256\n -D HTTPD_ROOT=\"/etc/apache2\"\n -D SERVER_CONFIG_FILE=\"apache2.conf\"\n";

    #[test]
    fn a_server_describes_itself() {
        let server = parse(Path::new("/usr/sbin/apache2"), DEBIAN).unwrap();
        assert_eq!(server.root, Path::new("/etc/apache2"));
        assert_eq!((server.version.patch, server.mmn.minor), (62, 131));
    }

    #[test]
    fn another_program_of_the_name_is_no_apache() {
        let error = parse(Path::new("/bin/httpd"), "BusyBox v1.36 multi-call binary").unwrap_err();
        assert!(error.to_string().contains("'/bin/httpd'"), "{error}");
    }

    #[test]
    fn only_a_directory_with_modules_counts() {
        assert!(!has_modules(Path::new("/etc")));
        assert!(!has_modules(Path::new("/nonexistent")));
    }
}
