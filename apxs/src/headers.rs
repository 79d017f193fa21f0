//! The headers that a module is built with.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::query;
use crate::version::{ModuleMagic, Version};

/// The arguments of a C preprocessor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headers {
    /// The directories of the headers.
    pub include_dirs: Vec<PathBuf>,
    /// The definitions: `-D…` arguments.
    pub defines: Vec<String>,
}

impl Headers {
    /// Asks `apxs` and, through it, APR's configuration programs.
    pub fn from_apxs(apxs: &Path) -> Result<Self, Error> {
        let mut arguments = format!("-I{}", query::apxs(apxs, "INCLUDEDIR")?);
        // An apxs knows these or not, depending on its version.
        for name in ["EXTRA_INCLUDES", "EXTRA_CPPFLAGS", "CPPFLAGS", "EXTRA_CFLAGS", "CFLAGS"] {
            arguments.push(' ');
            arguments.push_str(&query::apxs(apxs, name).unwrap_or_default());
        }
        for name in ["APR_CONFIG", "APU_CONFIG"] {
            arguments.push(' ');
            arguments.push_str(&query::apr_arguments(apxs, name));
        }
        let headers = Self { include_dirs: query::include_dirs(&arguments), defines: query::defines(&arguments) };
        ["httpd.h", "apr.h", "apu.h"].into_iter().try_for_each(|name| headers.path(name).map(drop))?;
        Ok(headers)
    }

    fn path(&self, name: &'static str) -> Result<PathBuf, Error> {
        let found = self.include_dirs.iter().map(|dir| dir.join(name)).find(|path| path.is_file());
        found.ok_or_else(|| Error::NoHeader { name, searched: self.include_dirs.clone() })
    }

    fn read(&self, name: &'static str) -> Result<(PathBuf, String), Error> {
        let path = self.path(name)?;
        match fs::read(&path) {
            Ok(bytes) => Ok((path, String::from_utf8_lossy(&bytes).into_owned())),
            Err(source) => Err(Error::Unreadable { path, source }),
        }
    }

    /// The release, from `ap_release.h`.
    pub fn version(&self) -> Result<Version, Error> {
        let (origin, text) = self.read("ap_release.h")?;
        Version::from_header(&text).ok_or(Error::NoVersion { origin, what: "the release of the server" })
    }

    /// The module magic number, from `ap_mmn.h`.
    pub fn mmn(&self) -> Result<ModuleMagic, Error> {
        let (origin, text) = self.read("ap_mmn.h")?;
        ModuleMagic::from_header(&text).ok_or(Error::NoVersion { origin, what: "the module magic number" })
    }
}
