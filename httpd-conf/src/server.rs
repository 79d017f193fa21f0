//! The configuration of a whole server.

use camino::Utf8PathBuf;

use crate::access::Access;
use crate::block::{Block, ValueError};
use crate::connection::Connection;
use crate::content::Content;
use crate::logs::Logs;
use crate::proxy::Proxy;
use crate::sites::Sites;
use crate::workers::{Mpm, Sizes};
use crate::wsgi::Wsgi;

/// The URLs of the status pages: Apache's, and that of the process groups.
pub const STATUS_PAGES: [&str; 2] = ["/server-status", "/wsgi-status"];

/// The headers that servers in front usually add to a request: with one of them a request comes from elsewhere,
/// although its connection comes from this machine.
const FORWARDED: [&str; 9] = [
    "Forwarded",
    "Via",
    "X-Client-IP",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-Server",
    "X-Originating-IP",
    "X-Real-IP",
];

/// A module to load; what is compiled into httpd is not among them.
#[derive(Clone, Debug)]
pub struct Module {
    /// The name of the module for `LoadModule`, without `_module`.
    pub name: String,
    /// The path of the module's file.
    pub file: Utf8PathBuf,
}

/// The user that Apache's children run as.
#[derive(Clone, Debug)]
pub struct RunAs {
    /// The user: a name or `#uid`.
    pub user: String,
    /// The group: a name or `#gid`.
    pub group: String,
}

/// The variables of requests.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// The value of `--setenv`.
    pub set: Vec<(String, String)>,
    /// The value of `--passenv`.
    pub pass: Vec<String>,
}

/// A server, decided in every detail.
#[derive(Clone, Debug)]
pub struct Server {
    /// The directory with everything generated.
    pub root: Utf8PathBuf,
    /// The value of `--pid-file`.
    pub pid_file: Utf8PathBuf,
    /// The user and group of `--user` and `--group`.
    pub run_as: RunAs,
    /// A library that has to be loaded before the modules.
    pub library: Option<Utf8PathBuf>,
    /// The modules, the MPM first.
    pub modules: Vec<Module>,
    /// The MPM that is loaded.
    pub mpm: Mpm,
    /// The numbers of processes and threads.
    pub sizes: Sizes,
    /// The addresses and names.
    pub sites: Sites,
    /// The limits of connections.
    pub connection: Connection,
    /// The destinations of the logs.
    pub logs: Logs,
    /// The files, and the place of the application.
    pub content: Content,
    /// The servers behind this one.
    pub proxy: Proxy,
    /// The scripts that let clients in.
    pub access: Access,
    /// The value of `--server-status`.
    pub status_page: bool,
    /// The value of `--server-metrics`.
    pub metrics: bool,
    /// The application and its processes.
    pub wsgi: Wsgi,
    /// The variables of requests.
    pub environment: Environment,
    /// The value of `--include-file`.
    pub includes: Vec<Utf8PathBuf>,
}

impl Server {
    /// The modules beside mod_wsgi and the MPM that the directives of this server belong to, in the order to load them.
    pub fn needed_modules(&self) -> Vec<&'static str> {
        let mut need = vec!["unixd", "authn_core", "authz_core", "authz_host", "env", "setenvif", "headers", "filter"];
        self.connection.modules(&mut need);
        self.sites.modules(&mut need);
        self.logs.modules(&mut need);
        self.content.modules(&mut need);
        self.proxy.modules(&mut need);
        self.access.modules(&mut need);
        if self.status_page || self.metrics {
            need.push("status");
        }
        let mut seen = Vec::new();
        need.retain(|name| {
            !seen.contains(name) && {
                seen.push(*name);
                true
            }
        });
        need
    }

    /// The text of `httpd.conf`.
    ///
    /// # Errors
    /// [`ValueError`] when a value contains a control character.
    pub fn render(&self) -> Result<String, ValueError> {
        let mut out = Block::default();
        self.write_identity(&mut out);
        self.sites.write_listen(&mut out);
        self.write_modules(&mut out);
        self.sizes.write(self.mpm, &mut out);
        self.connection.write(&mut out);
        self.logs.write(&mut out);
        self.content.write(&mut out);
        self.proxy.write(self.sites.port, self.sites.tls.as_ref(), &mut out);
        self.access.write(&mut out);
        self.write_status(&mut out);
        self.write_environment(&mut out);
        self.sites.write_hosts(&self.root, &self.proxy, self.wsgi.has_hosts(), &mut out);
        self.wsgi.write(self.sites.port, &mut out);
        if !self.includes.is_empty() {
            out.comment("--include-file");
            for file in &self.includes {
                out.set("Include", file);
            }
        }
        out.render()
    }

    fn write_identity(&self, out: &mut Block) {
        out.comment("Made by mod_wsgi-express; the next setup-server or start-server writes it anew.");
        out.set("ServerName", &self.sites.default_name);
        out.set("ServerRoot", &self.root);
        out.set("PidFile", &self.pid_file);
        out.set("DefaultRuntimeDir", &self.root);
        out.set("ServerTokens", "ProductOnly");
        out.set("ServerSignature", "Off");
        out.set("MaxMemFree", "64");
    }

    fn write_modules(&self, out: &mut Block) {
        out.comment("--modules-directory, --server-mpm, and what the other options need");
        if let Some(library) = &self.library {
            out.set("LoadFile", library);
        }
        for Module { name, file } in &self.modules {
            out.directive("LoadModule").arg(format!("{name}_module")).arg(file);
        }
        // Known only once mod_unixd is there.
        out.comment("--user, --group");
        out.set("User", &self.run_as.user);
        out.set("Group", &self.run_as.group);
    }

    fn write_status(&self, out: &mut Block) {
        if self.status_page || self.metrics {
            out.comment("--server-status, --server-metrics");
            out.set("ExtendedStatus", "On");
        }
        if self.status_page {
            for (page, handler) in STATUS_PAGES.into_iter().zip(["server-status", "wsgi-status"]) {
                out.section("Location", page, |l| {
                    l.set("SetHandler", handler);
                    l.bare_section("RequireAll", |all| {
                        all.directive("Require").arg("local");
                        let given = self.wsgi.trusted_headers.iter().map(String::as_str);
                        let given =
                            given.filter(|name| !FORWARDED.iter().any(|known| known.eq_ignore_ascii_case(name)));
                        for name in FORWARDED.into_iter().chain(given) {
                            all.directive("Require").arg("expr").arg(format!("-z req_novary('{name}')"));
                        }
                    });
                });
            }
        }
        if self.metrics {
            out.set("WSGIServerMetrics", "On");
        }
    }

    fn write_environment(&self, out: &mut Block) {
        let Environment { set, pass } = &self.environment;
        if !set.is_empty() || !pass.is_empty() {
            out.comment("--setenv, --passenv");
        }
        for (name, value) in set {
            out.directive("SetEnv").arg(name).arg(value);
        }
        for name in pass {
            out.set("PassEnv", name);
        }
    }
}
