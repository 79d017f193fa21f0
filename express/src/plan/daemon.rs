//! Options of `WSGIDaemonProcess` and the other directives of mod_wsgi.

use httpd_conf::{Fractions, Hosting, HostingMode, Service};

use super::account;
use super::context::Context;
use super::error::PlanError;
use super::logs::LogDestination;
use super::telemetry;
use crate::options::{Capacity, Interface, Options, pairs};

type Settings = Vec<(&'static str, String)>;

/// The parts of Apache's capacity that are started and kept spare. All of it is kept where WebSockets are served: a
/// child that is ended for want of work keeps its place until the last of its own is over.
pub fn fractions(options: &Options) -> Fractions {
    let Capacity { initial_workers, minimum_spare_workers, maximum_spare_workers, .. } = options.capacity;
    let whole = (options.interface() == Interface::Asgi).then_some(1.0);
    Fractions {
        initial: initial_workers,
        minimum_spare: minimum_spare_workers,
        maximum_spare: maximum_spare_workers.or(whole),
    }
}

/// Decides where the application runs, and with which scripts; `label` is the server's address.
pub fn hosting(context: &Context, label: &str) -> Hosting {
    let Options { application, debugging, .. } = context.options;
    let mode = if debugging.embedded() {
        let home = std::iter::once(context.working_directory.clone());
        HostingMode::Embedded { python_path: home.chain(context.python_path.iter().cloned()).collect() }
    } else {
        daemons(context, label)
    };
    Hosting {
        mode,
        application_group: application.application_group.clone().unwrap_or_else(|| "%{GLOBAL}".to_owned()),
        handler: context.root.join("handler.wsgi"),
        resource: (!application.add_handler.is_empty()).then(|| context.root.join("resource.wsgi")),
    }
}

fn daemons(context: &Context, label: &str) -> HostingMode {
    let Options { application, .. } = context.options;
    // Somebody who names the group wants to find the processes by that name.
    let (name, display_name) = match &application.process_group {
        Some(name) => (name.clone(), "%{GROUP}".to_owned()),
        None => (label.to_owned(), format!("(wsgi:{label}:{})", context.caller.uid)),
    };
    HostingMode::Daemons { name, settings: context.application_settings(display_name) }
}

/// The value that an option with two words gives for a service.
fn detail(words: &[String], service: &str) -> Option<String> {
    pairs(words).find(|(name, _)| *name == service).map(|(_, value)| value.to_owned())
}

/// How many of Apache's workers the application's requests may keep. Beside it there are only static files and the
/// status: a tenth is enough for them, and what the application can execute at once is never less.
pub fn worker_limit(workers: u64, capacity: u64) -> u64 {
    workers.saturating_sub((workers / 10).max(1)).max(capacity).max(1)
}

/// The services, programs beside the application.
pub fn services(context: &Context, logs: &LogDestination) -> Result<Vec<Service>, PlanError> {
    let chosen = &context.options.services;
    let service = |(name, script): (&str, &str)| {
        let mut settings = context.service_settings();
        if let Some(user) = detail(&chosen.service_user, name) {
            account::find_user(&user)?;
            settings.push(("user", user));
        }
        if let Some(group) = detail(&chosen.service_group, name) {
            account::find_group(&group)?;
            settings.push(("group", group));
        }
        Ok(Service {
            name: name.to_owned(),
            script: context.here.existing("--service-script", script)?,
            settings,
            log: detail(&chosen.service_log_file, name).map(|file| logs.file(&file)),
        })
    };
    let own = context.options.monitoring.enable_telemetry.then(|| Service {
        name: telemetry::SERVICE.to_owned(),
        script: telemetry::script_path(context.root),
        settings: context.service_settings(),
        log: None,
    });
    pairs(&chosen.service_script).map(service).chain(own.map(Ok)).collect()
}

/// The settings of the processes that are asked who may come in, if scripts decide that and Apache's own processes do
/// not run them: they find the modules that the application finds.
pub fn access(context: &Context) -> Option<Settings> {
    let Options { access, debugging, .. } = context.options;
    let is_asked = access.host_access_script.is_some() || access.auth_user_script.is_some();
    (is_asked && !debugging.embedded()).then(|| {
        let mut settings: Settings =
            vec![("display-name", "%{GROUP}".to_owned()), ("home", context.working_directory.to_string())];
        settings.extend(context.environment_settings());
        settings
    })
}

impl Context<'_> {
    /// The settings of the application's processes.
    fn application_settings(&self, display_name: String) -> Settings {
        let Options { capacity, timeouts, transfer, application, .. } = self.options;
        let mut settings: Settings = vec![("display-name", display_name), ("home", self.working_directory.to_string())];
        settings.extend(capacity.processes.map(|n| ("processes", n.to_string())));
        settings.push(("threads", capacity.threads.to_string()));
        let interface = self.options.interface();
        if interface != Interface::Wsgi {
            settings.push(("interface", interface.name().to_owned()));
            settings.extend(self.options.asgi.given());
        }
        settings.extend(self.environment_settings());
        settings.extend(application.switch_interval.map(|s| ("switch-interval", s.to_string())));
        // The directive has its own defaults for the first ones; what is 0 of the others is its default too.
        let always = [
            ("shutdown-timeout", timeouts.shutdown_timeout),
            ("graceful-timeout", timeouts.graceful_timeout),
            ("deadlock-timeout", timeouts.deadlock_timeout),
            ("connect-timeout", timeouts.connect_timeout),
            ("response-flush-delay", timeouts.response_flush_delay),
            ("listen-backlog", transfer.daemon_backlog),
        ];
        let limits = [
            ("maximum-requests", capacity.maximum_requests),
            ("restart-interval", timeouts.restart_interval),
            ("cpu-time-limit", timeouts.cpu_time_limit),
            ("startup-timeout", timeouts.startup_timeout),
            ("eviction-timeout", timeouts.eviction_timeout),
            ("inactivity-timeout", timeouts.inactivity_timeout),
            ("request-timeout", timeouts.request_timeout),
            ("interrupt-timeout", timeouts.interrupt_timeout),
            ("queue-timeout", timeouts.queue_timeout),
            ("socket-timeout", timeouts.socket_timeout),
            ("response-socket-timeout", timeouts.response_socket_timeout),
            ("send-buffer-size", transfer.send_buffer_size),
            ("receive-buffer-size", transfer.receive_buffer_size),
            ("header-buffer-size", transfer.header_buffer_size),
            ("response-buffer-size", transfer.response_buffer_size),
        ];
        let limits = always.into_iter().chain(limits.into_iter().filter(|(_, value)| *value > 0));
        settings.extend(limits.map(|(name, value)| (name, value.to_string())));
        settings
    }

    /// The settings of a service's process.
    fn service_settings(&self) -> Settings {
        let mut settings: Settings = vec![("display-name", "%{GROUP}".to_owned()), ("threads", "0".to_owned())];
        settings.extend(self.environment_settings());
        settings
    }

    fn environment_settings(&self) -> Settings {
        let mut settings = vec![("lang", self.locale.clone()), ("locale", self.locale.clone())];
        if !self.python_path.is_empty() {
            let joined = self.python_path.iter().map(|p| p.as_str()).collect::<Vec<_>>().join(":");
            settings.push(("python-path", joined));
        }
        if let Some(directory) = &self.options.application.python_eggs {
            settings.push(("python-eggs", self.here.absolute(directory).into_string()));
        }
        // Whoever starts this server starts the application: its variables are meant for it, as in a container.
        settings.push(("pass-env", "*".to_owned()));
        settings.extend(self.env_files.iter().map(|file| ("env-file", file.to_string())));
        if self.options.monitoring.server_metrics {
            settings.push(("server-metrics", "On".to_owned()));
        }
        settings
    }
}

/// The directives of mod_wsgi that differ from their default: name, option, value.
pub fn directives(options: &Options) -> Vec<(&'static str, &'static str, String)> {
    let Options { application, content, transfer, .. } = options;
    let map_head = application.map_head_to_get.name();
    let switches = [
        (application.chunked_request, "WSGIChunkedRequest", "--chunked-request", "On"),
        (map_head != "Auto", "WSGIMapHEADToGET", "--map-head-to-get", map_head),
        (application.disable_reloading, "WSGIScriptReloading", "--disable-reloading", "Off"),
        (content.error_override, "WSGIErrorOverride", "--error-override", "On"),
        (transfer.enable_sendfile, "WSGIEnableSendfile", "--enable-sendfile", "On"),
        (application.orphan_interpreter, "WSGIDestroyInterpreter", "--orphan-interpreter", "Off"),
        (application.free_threading, "WSGIFreeThreading", "--free-threading", "On"),
    ];
    let warnings = application.python_warnings.iter().map(|w| ("WSGIPythonWarnings", "--python-warnings", w.clone()));
    switches
        .into_iter()
        .filter(|(given, ..)| *given)
        .map(|(_, directive, option, value)| (directive, option, value.to_owned()))
        .chain(warnings)
        .collect()
}
