//! Where the rest of the product is installed: the supervisor, and the Python package for daemons whose interpreter has
//! none of its own.
//!
//! `LoadModule` may name the module inside the package, where everything is beside it, or a copy of it among Apache's
//! modules (`mod_wsgi-express install-module`), which has the supervisor beside it or in the directory above. The
//! supervisor runs as root where Apache does: it is never looked for anywhere else, and taken only from whom root has
//! trusted by loading the module. The package runs as the user of a group; that of a copied module is found in
//! `WSGIPythonHome`, and never in the `python-home` of a group, which other groups have no reason to trust.
#![forbid(unsafe_code)]

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use wsgi_unix::files::{self, FileError, Owners};

const SUPERVISOR: &str = "mod_wsgi-supervisor";

/// The parts of the installation that the module uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// The program that starts the daemons.
    pub supervisor: Supervisor,
    /// The directory that holds the Python package.
    pub package: Option<PathBuf>,
}

/// The supervisor's executable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Supervisor {
    path: PathBuf,
    /// The users whom root trusts to have put the program there: root, and the owner of the module, who could have put
    /// anything into that. `None` for an ordinary user, who runs what they have chosen.
    owners: Option<Owners>,
}

/// Why the supervisor is not started.
#[derive(Debug, thiserror::Error)]
pub enum InstallationError {
    /// The module's own file cannot be looked at.
    #[error("cannot look at the module {}: {source}", .module.display())]
    Module {
        /// The path of this module.
        module: PathBuf,
        /// Why the module cannot be found.
        source: io::Error,
    },
    /// The supervisor is missing.
    #[error(
        "{SUPERVISOR} is neither in {}, beside the module, nor in the directory above: run `mod_wsgi-express install-module`, which puts both in \
         their places, or load the module from where pip has installed it", .0.display()
    )]
    Missing(PathBuf),
    /// A user who is not trusted could have put the program there.
    #[error("root does not run {}: {reason}", .supervisor.display())]
    Refused {
        /// The path of the supervisor.
        supervisor: PathBuf,
        /// The reason, which names who could put another program in its place.
        reason: FileError,
    },
}

impl Installation {
    /// Finds what belongs to a module file. `home` is `WSGIPythonHome`.
    ///
    /// # Errors
    /// [`InstallationError::Module`] or [`InstallationError::Missing`].
    pub fn find(module: &Path, home: Option<&[u8]>) -> Result<Self, InstallationError> {
        // Among Apache's modules there may be a link to the file.
        let failed = |source| InstallationError::Module { module: module.to_owned(), source };
        let file = module.canonicalize().map_err(failed)?;
        let owner = file.metadata().map_err(failed)?.uid();
        let server = file.parent().unwrap_or(Path::new("/"));
        let places = [server, server.parent().unwrap_or(server)].map(|directory| directory.join(SUPERVISOR));
        let found = places.into_iter().find(|path| path.symlink_metadata().is_ok());
        let path = found.ok_or_else(|| InstallationError::Missing(server.to_owned()))?;
        let owners = rustix::process::geteuid().is_root().then(|| Owners::own().and(owner));
        let home = home.map(|home| Path::new(OsStr::from_bytes(home)));
        let package = package_of(server)
            .or_else(|| home.and_then(|home| servers_in(home).iter().find_map(|server| package_of(server))));
        Ok(Self { supervisor: Supervisor { path, owners }, package })
    }
}

impl Supervisor {
    /// Returns the path of the program, if nobody but trusted users can have changed it since.
    ///
    /// # Errors
    /// [`InstallationError::Refused`]
    pub fn checked(&self) -> Result<&Path, InstallationError> {
        let outcome = self.owners.as_ref().map_or(Ok(()), |owners| files::check_file(&self.path, owners));
        outcome
            .map(|()| self.path.as_path())
            .map_err(|reason| InstallationError::Refused { supervisor: self.path.clone(), reason })
    }
}

/// The directory of the package whose directory `mod_wsgi/server` this is.
fn package_of(server: &Path) -> Option<PathBuf> {
    let package = server.parent()?;
    let is_ours = server.file_name() == Some(OsStr::new("server"))
        && package.file_name() == Some(OsStr::new("mod_wsgi"))
        && package.join("_daemon.py").exists();
    package.parent().filter(|_| is_ours).map(Path::to_owned)
}

/// `<home>/lib/python3.*/site-packages/mod_wsgi/server`, for each Python version that is there, and the same in
/// `lib64`.
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
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A directory of its own for a test, removed at its end.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let directory = std::env::temp_dir().join(format!("wsgi-installation-{}-{name}", std::process::id()));
            fs::create_dir_all(&directory).unwrap();
            Self(directory.canonicalize().unwrap())
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
    fn everything_is_beside_the_module_also_behind_a_link() {
        let scratch = Scratch::new("beside");
        let module = installed(&scratch);
        let link = scratch.file("modules/other.so").with_file_name("mod_wsgi.so");
        std::os::unix::fs::symlink(&module, &link).unwrap();
        for path in [&module, &link] {
            let found = Installation::find(path, None).unwrap();
            assert_eq!(found.supervisor.path, module.with_file_name(SUPERVISOR));
            assert_eq!(found.package, Some(scratch.0.join(SITE)));
        }
    }

    #[test]
    fn a_copied_module_has_its_supervisor_beside_it_and_the_package_in_the_python_home() {
        let scratch = Scratch::new("copy");
        installed(&scratch);
        let module = scratch.file("modules/mod_wsgi.so");
        let home = scratch.0.join("venv");
        let find = || Installation::find(&module, Some(home.as_os_str().as_bytes()));
        let missing = find().unwrap_err().to_string();
        assert!(missing.contains("/modules, beside the module") && missing.contains("install-module"), "{missing}");
        for place in ["mod_wsgi-supervisor", "modules/mod_wsgi-supervisor"] {
            let supervisor = scratch.file(place);
            let found = find().unwrap();
            assert_eq!((found.supervisor.path, found.package), (supervisor, Some(scratch.0.join(SITE))));
        }
        assert_eq!(Installation::find(&module, None).unwrap().package, None);
    }

    #[test]
    fn a_supervisor_that_somebody_else_could_exchange_is_refused_in_words() {
        let scratch = Scratch::new("refused");
        let supervisor = installed(&scratch).with_file_name(SUPERVISOR);
        fs::set_permissions(supervisor.parent().unwrap(), fs::Permissions::from_mode(0o777)).unwrap();
        let program = |owners| Supervisor { path: supervisor.clone(), owners };
        let error = program(Some(Owners::own())).checked().unwrap_err().to_string();
        assert!(error.contains("everybody may write to the directory") && error.contains("mod_wsgi/server"), "{error}");
        assert!(program(None).checked().is_ok(), "an ordinary user runs what they have chosen");
    }
}
