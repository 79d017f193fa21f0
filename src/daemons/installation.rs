//! Where the rest of the product is installed: the supervisor, and the Python package for daemons whose interpreter has none of its own.
//!
//! `LoadModule` may name the module inside the package, where everything is beside it, or a copy of it among Apache's modules
//! (`mod_wsgi-express install-module`). Then the package is found in the virtual environments that the configuration names.
#![forbid(unsafe_code)]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

const SUPERVISOR: &str = "mod_wsgi-supervisor";

/// What belongs to the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// The supervisor's executable.
    pub supervisor: PathBuf,
    /// The folder that holds the Python package.
    pub package: Option<PathBuf>,
}

/// There is no supervisor.
#[derive(Debug, thiserror::Error)]
#[error(
    "{SUPERVISOR} is neither in {} nor in {}; install mod_wsgi there with pip, or load the module from where pip has installed it",
    .module.display(),
    places(.homes)
)]
pub struct Missing {
    module: PathBuf,
    homes: Vec<PathBuf>,
}

fn places(homes: &[PathBuf]) -> String {
    match homes {
        [] => "a virtual environment (WSGIPythonHome is not set)".to_owned(),
        _ => homes.iter().map(|h| format!("the site-packages of {}", h.display())).collect::<Vec<_>>().join(", "),
    }
}

impl Installation {
    /// Looks beside the module, then in the Python homes.
    ///
    /// # Errors
    /// [`Missing`]
    pub fn find<'h>(module: &Path, homes: impl Iterator<Item = &'h [u8]>) -> Result<Self, Missing> {
        let homes: Vec<PathBuf> = homes.map(|home| PathBuf::from(OsStr::from_bytes(home))).collect();
        let beside = module.parent().unwrap_or(Path::new("/")).to_owned();
        let servers = std::iter::once(beside.clone()).chain(homes.iter().flat_map(|home| servers_in(home)));
        let found = servers.map(|server| Self::in_folder(&server)).find(|i| i.supervisor.is_file());
        found.ok_or(Missing { module: beside, homes })
    }

    /// What is or would be installed together with `<package>/mod_wsgi/server/`.
    fn in_folder(server: &Path) -> Self {
        let package = server.parent().filter(|package| {
            server.file_name() == Some(OsStr::new("server"))
                && package.file_name() == Some(OsStr::new("mod_wsgi"))
                && package.join("_daemon.py").exists()
        });
        let package = package.and_then(Path::parent).map(Path::to_owned);
        Self { supervisor: server.join(SUPERVISOR), package }
    }
}

/// `<home>/lib/python3.*/site-packages/mod_wsgi/server`, for each Python version that is there, and the same in `lib64`.
fn servers_in(home: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = ["lib", "lib64"]
        .iter()
        .filter_map(|lib| fs::read_dir(home.join(lib)).ok())
        .flat_map(|entries| entries.flatten())
        .filter(|entry| entry.file_name().as_bytes().starts_with(b"python3"))
        .map(|entry| entry.path().join("site-packages/mod_wsgi/server"))
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of its own for a test, removed at its end.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("wsgi-installation-{}-{name}", std::process::id()));
            fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }

        fn file(&self, path: &str) -> PathBuf {
            let path = self.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
            path
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    const SITE: &str = "venv/lib/python3.11/site-packages";

    fn installed(scratch: &Scratch) -> PathBuf {
        scratch.file(&format!("{SITE}/mod_wsgi/_daemon.py"));
        scratch.file(&format!("{SITE}/mod_wsgi/server/mod_wsgi-supervisor"));
        scratch.file(&format!("{SITE}/mod_wsgi/server/mod_wsgi-py311.so"))
    }

    #[test]
    fn everything_is_beside_the_module() {
        let scratch = Scratch::new("beside");
        let module = installed(&scratch);
        let found = Installation::find(&module, std::iter::empty()).unwrap();
        assert_eq!(found.supervisor, module.with_file_name(SUPERVISOR));
        assert_eq!(found.package, Some(scratch.0.join(SITE)));
    }

    #[test]
    fn a_copy_of_the_module_finds_the_rest_in_a_python_home() {
        let scratch = Scratch::new("copy");
        let supervisor = installed(&scratch).with_file_name(SUPERVISOR);
        let module = scratch.file("modules/mod_wsgi.so");
        let home = scratch.0.join("venv");
        let found = Installation::find(&module, [&b"/nowhere"[..], home.as_os_str().as_bytes()].into_iter()).unwrap();
        assert_eq!((found.supervisor, found.package), (supervisor, Some(scratch.0.join(SITE))));
    }

    #[test]
    fn both_places_are_named_if_it_is_nowhere() {
        let scratch = Scratch::new("nowhere");
        let module = scratch.file("modules/mod_wsgi.so");
        let error = Installation::find(&module, [&b"/nowhere"[..]].into_iter()).unwrap_err().to_string();
        assert!(error.contains("/modules") && error.contains("/nowhere"), "{error}");
    }
}
