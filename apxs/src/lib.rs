//! Where Apache httpd is on this machine: its program, modules and, for building against it, its headers.
//!
//! [`Apache::find`] asks `apxs` and is what a build needs. [`Apache::find_runtime`] also does without the development
//! package, by asking the `httpd` program itself, and is what running a server needs.
//!
//! Knows apxs, the `httpd` program and the directories of distributions. Must not know mod_wsgi, nor what the answer is
//! for.
#![forbid(unsafe_code)]

mod error;
mod headers;
mod program;
mod query;
mod server;
mod version;

pub use error::Error;
pub use version::{ModuleMagic, Version};

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use headers::Headers;

/// An Apache httpd installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Apache {
    layout: Layout,
    version: Version,
    mmn: ModuleMagic,
    headers: Option<Headers>,
}

/// The paths of an installation's parts.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Layout {
    httpd: PathBuf,
    bin_dirs: Vec<PathBuf>,
    libexecdir: PathBuf,
    sysconfdirs: Vec<PathBuf>,
}

impl Layout {
    fn from_apxs(apxs: &Path) -> Result<Self, Error> {
        let names = ["SBINDIR", "SYSCONFDIR", "PROGNAME", "BINDIR", "LIBEXECDIR"];
        let [sbindir, sysconfdir, progname, bindir, libexecdir] = query::apxs_all(apxs, names)?;
        let (sbindir, sysconfdir) = (PathBuf::from(sbindir), PathBuf::from(sysconfdir));
        Ok(Self {
            httpd: sbindir.join(progname),
            bin_dirs: vec![bindir.into(), sbindir],
            libexecdir: libexecdir.into(),
            sysconfdirs: vec![sysconfdir.join("conf"), sysconfdir],
        })
    }
}

impl Apache {
    /// The installation that `apxs` describes, headers included: `$APXS`, else `mod_wsgi-apxs`, `apxs2` or `apxs`.
    ///
    /// # Errors
    /// What is missing, and the packages that have it.
    pub fn find() -> Result<Self, Error> {
        let apxs = query::find_apxs()?;
        let headers = Headers::from_apxs(&apxs)?;
        let (version, mmn) = (headers.version()?, headers.mmn()?);
        Ok(Self { layout: Layout::from_apxs(&apxs)?, version, mmn, headers: Some(headers) })
    }

    /// The installation that `apxs` describes if there is one whose server exists, else that of `apache2` or `httpd` on
    /// PATH or in an `sbin` directory.
    ///
    /// # Errors
    /// What is missing, and the packages that have it. A wrong `$APXS` is always an error: whoever sets it wants that
    /// one.
    pub fn find_runtime() -> Result<Self, Error> {
        match query::find_apxs() {
            Ok(apxs) => Layout::from_apxs(&apxs).and_then(Self::running).or_else(|_| Self::from_server()),
            Err(wrong @ Error::WrongApxs(_)) => Err(wrong),
            Err(_) => Self::from_server(),
        }
    }

    /// Makes the installation at these paths, as its server describes it.
    fn running(layout: Layout) -> Result<Self, Error> {
        let server = server::ask(&layout.httpd)?;
        Ok(Self { layout, version: server.version, mmn: server.mmn, headers: None })
    }

    fn from_server() -> Result<Self, Error> {
        let (httpd, server) = server::find()?;
        let layout = Layout {
            libexecdir: server::module_directory(&server.root)?,
            sysconfdirs: vec![server.root.join("conf"), server.root],
            bin_dirs: httpd.parent().map(Path::to_path_buf).into_iter().collect(),
            httpd,
        };
        Ok(Self { layout, version: server.version, mmn: server.mmn, headers: None })
    }

    /// The server program, such as `/usr/sbin/apache2`. After [`Apache::find`] it need not exist: headers can be
    /// installed alone.
    pub fn httpd(&self) -> &Path {
        &self.layout.httpd
    }

    /// `rotatelogs`, the program for piped logs, if it is installed.
    pub fn rotatelogs(&self) -> Option<PathBuf> {
        program::find_in(OsStr::new("rotatelogs"), self.layout.bin_dirs.iter().cloned())
            .or_else(|| program::find(OsStr::new("rotatelogs")))
    }

    /// The directory of loadable modules.
    pub fn libexecdir(&self) -> &Path {
        &self.layout.libexecdir
    }

    /// The loadable module `name` (`mime` for `mod_mime.so`), if it is installed.
    pub fn module(&self, name: &str) -> Option<PathBuf> {
        Some(self.layout.libexecdir.join(format!("mod_{name}.so"))).filter(|path| path.is_file())
    }

    /// Names of the loadable multi-processing modules (`event`, `prefork`, `worker`), sorted. Empty where the only one
    /// is compiled in.
    pub fn mpms(&self) -> Vec<String> {
        let mpm = |file: &OsStr| Some(file.to_str()?.strip_prefix("mod_mpm_")?.strip_suffix(".so")?.to_owned());
        let entries = self.layout.libexecdir.read_dir().into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.filter_map(|entry| mpm(&entry.file_name())).collect();
        names.sort();
        names
    }

    /// Modules that are linked into the server program, by the name of their source file (`mod_so.c`, `event.c`), as
    /// `httpd -l` lists them.
    ///
    /// # Errors
    /// If the server program cannot be run.
    pub fn compiled_in(&self) -> Result<Vec<String>, Error> {
        let listing = program::output(&self.layout.httpd, &["-l"])?;
        Ok(listing.lines().map(str::trim).filter(|line| line.ends_with(".c")).map(str::to_owned).collect())
    }

    /// The file that maps suffixes to content types, for `TypesConfig`: the installation's own or the system's.
    pub fn mime_types(&self) -> Option<PathBuf> {
        let own = self.layout.sysconfdirs.iter().map(|dir| dir.join("mime.types"));
        own.chain(["/etc/mime.types", "/etc/apache2/mime.types"].map(PathBuf::from)).find(|path| path.is_file())
    }

    /// The release of httpd.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The module magic number: which modules this server loads.
    pub fn mmn(&self) -> ModuleMagic {
        self.mmn
    }

    /// Directories to search for the headers of httpd, APR and APR-util. Empty after [`Apache::find_runtime`] without
    /// `apxs`.
    pub fn include_dirs(&self) -> &[PathBuf] {
        self.headers.as_ref().map_or(&[], |headers| &headers.include_dirs)
    }

    /// Preprocessor arguments (`-D_GNU_SOURCE`) without which APR's types would have other sizes than in the server.
    pub fn cpp_defines(&self) -> &[String] {
        self.headers.as_ref().map_or(&[], |headers| &headers.defines)
    }
}
