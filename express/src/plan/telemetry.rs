//! Telemetry: a service that is there already, or mod_wsgi-telemetry beside the application.

use camino::{Utf8Path, Utf8PathBuf};
use httpd_conf::Telemetry;

use super::context::Context;
use super::error::PlanError;
use crate::options::Monitoring;

/// The name of the service.
pub const SERVICE: &str = "telemetry";
/// The longest path of a socket.
const SOCKET_PATH: usize = 107;

/// Reads the options.
///
/// # Errors
/// [`PlanError::LongTelemetrySocket`]
pub fn telemetry(context: &Context) -> Result<Telemetry, PlanError> {
    let monitoring = &context.options.monitoring;
    let given = monitoring.telemetry_service.as_deref().and_then(|target| target.strip_prefix("unix:"));
    let socket = match given {
        Some(path) => Some(context.here.absolute(path)),
        None => monitoring.enable_telemetry.then(|| socket(context.root)),
    };
    if let Some(path) = socket.as_ref().filter(|path| path.as_str().len() > SOCKET_PATH) {
        return Err(PlanError::LongTelemetrySocket(path.clone()));
    }
    Ok(Telemetry {
        service: socket.map(|socket| (socket, monitoring.telemetry_interval)),
        options: monitoring
            .telemetry_options
            .iter()
            .map(|flags| flags.split_whitespace().map(str::to_owned).collect())
            .collect(),
        slow_requests: monitoring.slow_requests,
        open: monitoring.opentelemetry.as_ref().map(|collector| (collector.clone(), open(monitoring))),
    })
}

/// The settings of `WSGIOpenTelemetry`.
fn open(monitoring: &Monitoring) -> Vec<(&'static str, String)> {
    let single = [
        ("service", monitoring.opentelemetry_service.clone()),
        ("sample", monitoring.opentelemetry_sample.map(|share| share.to_string())),
        ("interval", monitoring.opentelemetry_interval.map(|seconds| seconds.to_string())),
    ];
    let attributes = monitoring.opentelemetry_attribute.iter().map(|attribute| ("resource", attribute.clone()));
    single.into_iter().filter_map(|(name, value)| Some((name, value?))).chain(attributes).collect()
}

/// The directory of the service's socket, which the application's user makes.
pub fn directory(root: &Utf8Path) -> Utf8PathBuf {
    root.join(SERVICE)
}

/// The path of the service's script.
pub fn script_path(root: &Utf8Path) -> Utf8PathBuf {
    root.join("telemetry-service.py")
}

fn socket(root: &Utf8Path) -> Utf8PathBuf {
    directory(root).join("service.sock")
}

/// The text of the service's script.
pub fn script(monitoring: &Monitoring, root: &Utf8Path) -> String {
    // Within a raw literal of a path nothing but a quote could be taken for something else.
    let socket = socket(root).as_str().replace('\\', "\\\\").replace('\'', "\\'");
    let port = monitoring.telemetry_ui_port;
    format!(
        "# Made by mod_wsgi-express; the next setup-server or start-server writes it anew.\n\
         import pkgutil\n\n\
         import mod_wsgi\n\n\
         # Directories of --python-path were not there yet when the package was imported.\n\
         mod_wsgi.__path__ = pkgutil.extend_path(list(mod_wsgi.__path__), 'mod_wsgi')\n\n\
         from mod_wsgi.telemetry.server import main\n\n\
         main(['--listen', 'unix:{socket}', '--http-host', '127.0.0.1', '--http-port', '{port}', '--log-level', 'INFO'])\n"
    )
}
