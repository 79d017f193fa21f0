//! The application's processes, and the directives of mod_wsgi for requests.

use camino::Utf8PathBuf;

use crate::block::Block;
use crate::logs::Target;

/// The mode in which the application runs.
#[derive(Clone, Debug)]
pub enum HostingMode {
    /// Daemon mode: it runs in daemon processes.
    Daemons {
        /// The value of `--process-group`.
        name: String,
        /// Options of `WSGIDaemonProcess`.
        settings: Vec<(&'static str, String)>,
    },
    /// Embedded mode: it runs in Apache's own processes (`--embedded-mode`).
    Embedded {
        /// Directories for the module search path.
        python_path: Vec<Utf8PathBuf>,
    },
}

/// The application, and the processes that it runs in.
#[derive(Clone, Debug)]
pub struct Hosting {
    /// The mode in which it runs.
    pub mode: HostingMode,
    /// The value of `--application-group`.
    pub application_group: String,
    /// The script that Apache knows as the application.
    pub handler: Utf8PathBuf,
    /// The script behind the files of `--add-handler`.
    pub resource: Option<Utf8PathBuf>,
}

/// A program that runs beside the application.
#[derive(Clone, Debug)]
pub struct Service {
    /// The name of the service; the process group is `service:NAME`.
    pub name: String,
    /// The value of `--service-script`.
    pub script: Utf8PathBuf,
    /// Options of `WSGIDaemonProcess`.
    pub settings: Vec<(&'static str, String)>,
    /// The value of `--service-log-file`.
    pub log: Option<Target>,
}

/// The receivers of what requests cost.
#[derive(Clone, Debug, Default)]
pub struct Telemetry {
    /// The socket, and the seconds between two reports.
    pub service: Option<(Utf8PathBuf, f64)>,
    /// `--telemetry-options`, the flags of each.
    pub options: Vec<Vec<String>>,
    /// The value of `--slow-requests`.
    pub slow_requests: Option<f64>,
    /// `--opentelemetry`, and the settings of the directive.
    pub open: Option<(String, Vec<(&'static str, String)>)>,
}

/// The directives of mod_wsgi of the server.
#[derive(Clone, Debug)]
pub struct Wsgi {
    /// The Python environment of the daemons.
    pub python_home: Utf8PathBuf,
    /// The value of `--socket-prefix`.
    pub socket_prefix: Utf8PathBuf,
    /// The application; `None` for a static site.
    pub hosting: Option<Hosting>,
    /// The services (`--service-script`).
    pub services: Vec<Service>,
    /// The options of the processes that are asked who may come in; `None` where no script decides that, or Apache's
    /// own processes run it.
    pub access: Option<Vec<(&'static str, String)>>,
    /// The directives with one argument that differ from their default, with the option that each comes from.
    pub settings: Vec<(&'static str, &'static str, String)>,
    /// The value of `--trust-proxy`.
    pub trusted_proxies: Vec<String>,
    /// The value of `--trust-proxy-header`.
    pub trusted_headers: Vec<String>,
    /// The value of `--ignore-activity`.
    pub ignore_activity: Vec<String>,
    /// The value of `--telemetry-service`, `--slow-requests`.
    pub telemetry: Telemetry,
}

impl Wsgi {
    /// Whether a service has a virtual host, which it needs for a log of its own.
    pub(crate) fn has_hosts(&self) -> bool {
        self.services.iter().any(|s| s.log.is_some())
    }

    pub(crate) fn write(&self, port: u16, out: &mut Block) {
        out.comment("The Python environment, and whether Apache's own processes may run it");
        out.set("WSGIPythonHome", &self.python_home);
        out.set("WSGISocketPrefix", &self.socket_prefix);
        let embedded = self.hosting.as_ref().is_some_and(|h| matches!(h.mode, HostingMode::Embedded { .. }));
        out.set("WSGIRestrictEmbedded", if embedded { "Off" } else { "On" });
        for (directive, option, value) in &self.settings {
            out.comment(*option);
            out.set(directive, value);
        }
        if !self.trusted_proxies.is_empty() {
            out.comment("--trust-proxy");
            out.directive("WSGITrustedProxies").args(&self.trusted_proxies);
        }
        if !self.trusted_headers.is_empty() {
            out.comment("--trust-proxy-header");
            out.directive("WSGITrustedProxyHeaders").args(&self.trusted_headers);
        }
        for url in &self.ignore_activity {
            out.comment("--ignore-activity");
            out.section("Location", url, |l| l.set("WSGIIgnoreActivity", "On"));
        }
        self.telemetry.write(out);
        if let Some(hosting) = &self.hosting {
            hosting.write(out);
        }
        if let Some(settings) = &self.access {
            out.comment("The process of the scripts that decide who may come in");
            daemon("wsgi-access", settings, out);
        }
        for service in &self.services {
            out.comment("--service-script");
            match &service.log {
                None => service.write(out),
                Some(log) => out.section("VirtualHost", format!("*:{port}"), |h| {
                    h.set("ServerName", format!("service-{}.invalid", service.name));
                    h.set("ErrorLog", log.argument());
                    service.write(h);
                }),
            }
        }
    }
}

impl Telemetry {
    fn write(&self, out: &mut Block) {
        if let Some((socket, interval)) = &self.service {
            out.comment("--telemetry-service, --enable-telemetry, --telemetry-interval, --telemetry-options");
            out.directive("WSGITelemetryService")
                .arg(format!("unix:{socket}"))
                .setting("interval", interval.to_string());
        }
        for flags in &self.options {
            out.directive("WSGITelemetryOptions").args(flags);
        }
        if let Some(seconds) = self.slow_requests {
            out.comment("--slow-requests");
            out.set("WSGISlowRequests", seconds.to_string());
        }
        if let Some((collector, settings)) = &self.open {
            out.comment("--opentelemetry, --opentelemetry-*");
            let line = out.directive("WSGIOpenTelemetry").arg(collector);
            settings.iter().fold(line, |line, (name, value)| line.setting(name, value));
        }
    }
}

impl Hosting {
    fn write(&self, out: &mut Block) {
        let name = match &self.mode {
            HostingMode::Daemons { name, settings } => {
                out.comment(
                    "The application's processes (--processes, --threads, --working-directory, the --*-timeout options ...)",
                );
                daemon(name, settings, out);
                name
            }
            HostingMode::Embedded { python_path } => {
                out.comment("--embedded-mode, --python-path, --working-directory");
                let directories: Vec<&str> = python_path.iter().map(|p| p.as_str()).collect();
                out.set("WSGIPythonPath", directories.join(":"));
                out.set("WSGIScriptReloading", "Off");
                "%{GLOBAL}"
            }
        };
        out.comment("The application");
        out.set("WSGIPassAuthorization", "On");
        let at = |out: &mut Block, directive, words: &[&str]| {
            let group = out.directive(directive).args(words.iter().copied());
            group.setting("process-group", name).setting("application-group", &self.application_group);
        };
        at(out, "WSGIHandlerScript", &["wsgi-handler", self.handler.as_str()]);
        at(out, "WSGIImportScript", &[self.handler.as_str()]);
        if let Some(resource) = &self.resource {
            out.comment("--add-handler");
            at(out, "WSGIHandlerScript", &["wsgi-resource", resource.as_str()]);
        }
    }
}

impl Service {
    fn write(&self, out: &mut Block) {
        let group = format!("service:{}", self.name);
        daemon(&group, &self.settings, out);
        let import = out.directive("WSGIImportScript").arg(&self.script);
        import.setting("process-group", group).setting("application-group", "%{GLOBAL}");
    }
}

fn daemon(name: &str, settings: &[(&'static str, String)], out: &mut Block) {
    let directive = out.directive("WSGIDaemonProcess").arg(name);
    for (option, value) in settings {
        directive.setting(option, value);
    }
}
