//! The Apache that is to run: its program, modules and tables.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use apxs::Apache;
use camino::{Utf8Path, Utf8PathBuf};
use httpd_conf::{Module, Mpm};

use super::error::PlanError;
use super::path::Directory;
use crate::options::{self, Layout};

/// A module that is loaded where it is installed, for the sake of old configuration in included files.
const OPTIONAL: &str = "access_compat";

/// An installed Apache, as far as the options leave it to be found.
#[derive(Debug)]
pub struct Installation {
    apache: Apache,
    /// The path of the program.
    pub httpd: Utf8PathBuf,
    modules: Utf8PathBuf,
}

impl Installation {
    /// Finds the Apache; the options win over what is found.
    pub fn find(layout: &Layout, here: &Directory) -> Result<Self, PlanError> {
        let apache = Apache::find_runtime()?;
        let httpd = match &layout.httpd_executable {
            Some(path) => program("--httpd-executable", path, here)?,
            None => text(apache.httpd())?,
        };
        let modules = match &layout.modules_directory {
            Some(path) => here.existing("--modules-directory", path)?,
            None => text(apache.libexecdir())?,
        };
        Ok(Self { apache, httpd, modules })
    }

    /// Chooses the best MPM of those named, or of all; `order` has the best first.
    pub fn mpm(&self, wanted: &[options::Mpm], order: [Mpm; 3]) -> Result<Mpm, PlanError> {
        let named = |mpm: Mpm| {
            wanted.is_empty()
                || wanted.iter().any(|w| match w {
                    options::Mpm::Event => mpm == Mpm::Event,
                    options::Mpm::Worker => mpm == Mpm::Worker,
                    options::Mpm::Prefork => mpm == Mpm::Prefork,
                })
        };
        let candidates: Vec<_> = order.into_iter().filter(|mpm| named(*mpm)).collect();
        for mpm in &candidates {
            if self.file(&format!("mpm_{}", mpm.name())).is_some() || self.compiled_in(mpm.name())? {
                return Ok(*mpm);
            }
        }
        let names = candidates.iter().map(|mpm| mpm.name()).collect::<Vec<_>>().join(", ");
        Err(PlanError::NoMpm { names, directory: self.modules.clone() })
    }

    /// Returns the modules to load: the MPM, those that are needed, and our own.
    pub fn modules(&self, needed: &[&str], mpm: Mpm, wsgi: &Utf8Path) -> Result<Vec<Module>, PlanError> {
        if mpm == Mpm::Prefork && needed.contains(&"http2") {
            return Err(PlanError::Http2OnPrefork);
        }
        let mut modules = Vec::new();
        let first = format!("mpm_{}", mpm.name());
        if let Some(file) = self.file(&first) {
            modules.push(Module { name: first, file });
        }
        for name in needed.iter().copied().chain([OPTIONAL]) {
            match self.file(name) {
                Some(file) => modules.push(Module { name: name.to_owned(), file }),
                None if name == OPTIONAL || self.compiled_in(&format!("mod_{name}"))? => {}
                None => return Err(PlanError::NoModule { name: name.to_owned(), directory: self.modules.clone() }),
            }
        }
        if !wsgi.exists() {
            return Err(PlanError::NoWsgiModule(wsgi.to_owned()));
        }
        modules.push(Module { name: "wsgi".to_owned(), file: wsgi.to_owned() });
        Ok(modules)
    }

    fn file(&self, name: &str) -> Option<Utf8PathBuf> {
        Some(self.modules.join(format!("mod_{name}.so"))).filter(|path| path.is_file())
    }

    fn compiled_in(&self, source: &str) -> Result<bool, PlanError> {
        Ok(self.apache.compiled_in()?.iter().any(|file| file.strip_suffix(".c") == Some(source)))
    }

    /// The directory of its modules.
    pub fn modules_directory(&self) -> &Utf8Path {
        &self.modules
    }

    /// Returns the table of content types, or an empty file that is always there.
    pub fn mime_types(&self) -> Result<Utf8PathBuf, PlanError> {
        self.apache.mime_types().map_or(Ok("/dev/null".into()), |path| text(&path))
    }

    /// The program for rotated logs.
    pub fn rotatelogs(&self) -> Result<Utf8PathBuf, PlanError> {
        let missing = || PlanError::NoProgram { option: "--rotate-logs", path: "rotatelogs".into() };
        text(&self.apache.rotatelogs().ok_or_else(missing)?)
    }
}

/// A program that an option names: a path, or a name to be found on PATH.
pub fn program(option: &'static str, name: &Utf8Path, here: &Directory) -> Result<Utf8PathBuf, PlanError> {
    let found = if name.as_str().contains('/') {
        Some(here.absolute(name)).filter(|path| is_executable(path))
    } else {
        on_path(name.as_str())
    };
    found.ok_or_else(|| PlanError::NoProgram { option, path: name.to_owned() })
}

/// The program of that name on PATH or where system programs are.
pub fn on_path(name: &str) -> Option<Utf8PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':')
        .chain(["/usr/sbin", "/usr/bin", "/sbin", "/bin"])
        .filter(|directory| directory.starts_with('/'))
        .map(|directory| Utf8Path::new(directory).join(name))
        .find(|path| is_executable(path))
}

fn is_executable(path: &Utf8Path) -> bool {
    path.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

fn text(path: &std::path::Path) -> Result<Utf8PathBuf, PlanError> {
    Utf8PathBuf::from_path_buf(path.to_path_buf()).map_err(|path: PathBuf| PlanError::NotText(path))
}
