//! The configuration that every server of the tests starts from.

use crate::apache::apache;
use crate::processes::{ORDINARY_USER, is_root};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Apache's own modules that the tests need; one that is compiled in has no file and is not loaded.
const MODULES: [&str; 20] = [
    "unixd",
    "authn_core",
    "authz_core",
    "authz_host",
    "authz_user",
    "alias",
    "deflate",
    "dir",
    "dumpio",
    "env",
    "filter",
    "headers",
    "include",
    "log_config",
    "mime",
    "reqtimeout",
    "rewrite",
    "setenvif",
    "status",
    "substitute",
];

/// Apache's multi-processing modules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mpm {
    /// `mpm_event`, the usual one.
    #[default]
    Event,
    /// The module `mpm_worker`.
    Worker,
    /// The module `mpm_prefork`.
    Prefork,
    /// `mpm_itk`, which some systems have and which sits on `mpm_prefork`: each virtual host has a user of its own.
    Itk,
}

impl Mpm {
    /// Whether this machine's Apache has it.
    #[must_use]
    pub fn is_there(self) -> bool {
        self != Self::Itk || itk().is_some()
    }

    fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Worker => "worker",
            Self::Prefork | Self::Itk => "prefork",
        }
    }
}

/// The file of `mpm_itk`, which does not begin with `mod_` as others do.
fn itk() -> Option<PathBuf> {
    Some(apache().libexecdir().join("mpm_itk.so")).filter(|file| file.is_file())
}

/// Everything that differs between the servers of two tests.
pub(crate) struct Conf<'a> {
    pub root: &'a Path,
    pub port: u16,
    pub mpm: Mpm,
    pub log_level: &'a str,
    /// The lines that load the module.
    pub module_config: &'a str,
    /// The test's own lines.
    pub own: &'a str,
}

impl Conf<'_> {
    /// The text of `httpd.conf`. In the test's own lines `{root}`, `{apps}` and `{port}` stand for this server's.
    pub(crate) fn text(&self) -> String {
        let Self { root, port, mpm, log_level, module_config, own } = self;
        let root = root.display();
        let mut text = format!(
            "ServerName localhost\nServerRoot {root}\nListen 127.0.0.1:{port}\n\
             PidFile {root}/run/httpd.pid\nDefaultRuntimeDir {root}/run\nMutex file:{root}/run default\n\
             ErrorLog {root}/logs/error.log\nLogLevel {log_level}\n"
        );
        for name in std::iter::once(format!("mpm_{}", mpm.name())).chain(MODULES.map(String::from)) {
            if let Some(file) = apache().module(&name) {
                let _ = writeln!(text, "LoadModule {name}_module {}", file.display());
            }
        }
        if let Some(file) = itk().filter(|_| *mpm == Mpm::Itk) {
            let _ = writeln!(text, "LoadModule mpm_itk_module {}", file.display());
        }
        // One child with more threads than a test has connections, so that none is closed for want of a thread, and
        // room for the children of a graceful restart.
        text += "StartServers 1\nMaxRequestWorkers 128\nKeepAliveTimeout 30\n";
        if apache().module("reqtimeout").is_some() {
            // Tests that are about it say more.
            text += "RequestReadTimeout header=0 body=0\n";
        }
        if !matches!(mpm, Mpm::Prefork | Mpm::Itk) {
            text += "ServerLimit 4\nThreadLimit 32\nThreadsPerChild 32\nMinSpareThreads 1\nMaxSpareThreads 128\n";
        }
        if is_root() {
            let _ = writeln!(text, "User {ORDINARY_USER}\nGroup {ORDINARY_USER}");
        }
        let _ = write!(
            text,
            "TypesConfig /dev/null\nAddType text/css .css\nDocumentRoot {root}/htdocs\n\
             <Directory />\n    Require all granted\n    AllowOverride All\n</Directory>\n\
             {module_config}\nWSGISocketPrefix {root}/run/wsgi\n"
        );
        let apps = format!("{root}/apps");
        text += &own.replace("{root}", &root.to_string()).replace("{apps}", &apps).replace("{port}", &port.to_string());
        text + "\n"
    }
}
