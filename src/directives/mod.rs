//! The configuration directives: one table, from which httpd's own is made.
//!
//! Knows what words mean and which settings follow. Must not know httpd's records: what a setter asks of the server, it
//! asks its `Host`.
#![forbid(unsafe_code)]

mod alias;
pub mod configuration;
mod daemon;
pub mod directive;
pub mod group;
mod logging;
mod process;
#[cfg(test)]
mod reference;
mod request;
pub mod settings;
mod telemetry;
#[cfg(test)]
mod tests;
#[cfg(any(test, fuzzing))]
pub mod trial;

use std::ffi::CStr;

use self::directive::{Context, Directive, Setter};

const fn row(name: &'static CStr, context: Context, set: Setter, help: &'static CStr) -> Directive {
    Directive { name, help, context, set }
}

/// A directive about processes and files as only Unix has them.
const fn unix(directive: Directive) -> Directive {
    if cfg!(windows) { Directive { set: Setter::Global(process::not_on_windows), ..directive } } else { directive }
}

use Context::{Access, Configuration as Anywhere, FileInfo, Global, Server};
use Setter::{Global as Process, Request, Server as Host};

/// The table of all directives.
#[rustfmt::skip]
pub static DIRECTIVES: [Directive; 55] = [
    row(c"WSGIScriptAlias", Server, Host(alias::set), c"URL-path script-or-directory [option=value ...]: serve this part of the site by WSGI scripts"),
    row(c"WSGIScriptAliasMatch", Server, Host(alias::set_match), c"regex script-or-directory [option=value ...]: as WSGIScriptAlias, for a pattern"),
    row(c"WSGIHandlerScript", Anywhere, Request(request::handler_script), c"handler script [option=value ...]: a handler that AddHandler and SetHandler can name"),
    row(c"WSGIProcessGroup", Anywhere, Request(request::process_group), c"name: the process group that runs the applications"),
    row(c"WSGIApplicationGroup", Anywhere, Request(request::application_group), c"name: the interpreter that runs the applications"),
    row(c"WSGICallableObject", FileInfo, Request(request::callable), c"name: the application's name in its script"),
    row(c"WSGIRestrictProcess", Anywhere, Request(request::restrict_process), c"name ...: the process groups that may be chosen here"),
    row(c"WSGIImportScript", Server, Process(alias::set_import), c"script process-group=name application-group=name: load a script when processes start"),
    row(c"WSGIDispatchScript", Anywhere, Request(request::dispatch_script), c"script [option=value ...]: a script that chooses groups for each request"),

    unix(row(c"WSGIDaemonProcess", Server, Process(daemon::set), c"name [option=value ...]: define a process group")),
    unix(row(c"WSGISocketPrefix", Global, Process(process::socket_prefix), c"path: where the sockets of daemon processes are made")),
    unix(row(c"WSGISocketRotation", Global, Process(process::without_effect), c"On|Off: accepted, without effect")),
    unix(row(c"WSGIAcceptMutex", Global, Process(process::accept_mutex), c"mechanism: accepted, without effect")),
    unix(row(c"WSGILinger", Global, Process(process::linger), c"On|Off: whether a worker waits a millisecond for its client's next request, where that pays")),
    unix(row(c"WSGIWebSocketSuspend", Global, Process(process::websocket_suspend), c"On|Off: whether WebSockets hold no thread of Apache, where the MPM is event")),
    row(c"WSGIRestrictEmbedded", Global, Process(process::restrict_embedded), c"On|Off: forbid embedded mode"),

    row(c"WSGIPythonHome", Global, Process(process::python_home), c"path: the virtual environment or installation of Python to use"),
    row(c"WSGIPythonPath", Global, Process(process::python_path), c"directory[:directory ...]: added in front of the module search path (embedded mode)"),
    row(c"WSGIPythonEggs", Global, Process(process::python_eggs), c"directory: PYTHON_EGG_CACHE (embedded mode)"),
    row(c"WSGIPythonOptimize", Global, Process(process::python_optimize), c"0|1|2: Python's optimisation level"),
    row(c"WSGIPythonWarnings", Global, Process(process::python_warnings), c"filter: a warning filter as for python -W"),
    row(c"WSGIPythonHashSeed", Global, Process(process::python_hash_seed), c"random|number: PYTHONHASHSEED"),
    row(c"WSGIDontWriteBytecode", Global, Process(process::dont_write_bytecode), c"On|Off: whether Python leaves out writing .pyc files"),
    row(c"WSGISwitchInterval", Global, Process(process::switch_interval), c"seconds: how long a Python thread may run on"),
    row(c"WSGIPerInterpreterGIL", Global, Process(process::per_interpreter_gil), c"On|Off: whether interpreters have locks of their own"),
    row(c"WSGIFreeThreading", Global, Process(process::free_threading), c"On|Off: whether a free-threaded Python runs without its lock"),
    row(c"WSGISingleInterpreter", Global, Process(process::single_interpreter), c"On|Off: whether a process group of one application runs it in the main interpreter"),
    row(c"WSGIDestroyInterpreter", Global, Process(process::destroy_interpreter), c"On|Off: whether interpreters are torn down when a process ends"),
    row(c"WSGIRestrictStdin", Global, Process(process::restrict_stdin), c"On|Off: forbid sys.stdin"),
    row(c"WSGIRestrictStdout", Global, Process(process::restrict_stdout), c"On|Off: forbid sys.stdout"),
    row(c"WSGIRestrictSignal", Global, Process(process::restrict_signal), c"On|Off: ignore signal handlers of applications"),
    row(c"WSGICaseSensitivity", Global, Process(process::case_sensitivity), c"On|Off: whether file names differ by case"),
    row(c"WSGIVerboseDebugging", Global, Process(process::without_effect), c"On|Off: accepted, without effect; use LogLevel wsgi:debug"),
    row(c"<WSGIInterpreterOptions", Global, Process(process::interpreter_options), c"[process-group=name] [application-group=name]: settings of some interpreters"),

    row(c"WSGILogFormat", Server, Host(logging::format), c"text|json: what records of this module look like in the error log"),

    row(c"WSGIPassAuthorization", FileInfo, Request(request::pass_authorization), c"On|Off: hand the Authorization header to applications"),
    row(c"WSGIPassApacheRequest", Anywhere, Request(request::pass_apache_request), c"On|Off: hand the request_rec to applications (embedded mode)"),
    row(c"WSGIScriptReloading", FileInfo, Request(request::script_reloading), c"On|Off: whether a changed script is loaded again"),
    row(c"WSGIErrorOverride", FileInfo, Request(request::error_override), c"On|Off: Apache's error pages in place of those of applications"),
    row(c"WSGIChunkedRequest", FileInfo, Request(request::chunked_request), c"On|Off: accept request bodies of unknown length"),
    row(c"WSGIMapHEADToGET", FileInfo, Request(request::map_head), c"On|Off|Auto: whether applications see HEAD as GET"),
    row(c"WSGIIgnoreActivity", FileInfo, Request(request::ignore_activity), c"On|Off: requests here do not count as activity"),
    row(c"WSGITrustedProxyHeaders", FileInfo, Request(request::trusted_headers), c"header ...: headers of a proxy in front that are believed"),
    row(c"WSGITrustedProxies", FileInfo, Request(request::trusted_proxies), c"address[/mask] ...: the proxies that are believed"),
    unix(row(c"WSGIEnableSendfile", FileInfo, Request(request::enable_sendfile), c"On|Off: let Apache send files of wsgi.file_wrapper with sendfile")),
    unix(row(c"WSGISendfileRoot", Anywhere, Request(request::sendfile_root), c"directory [url=/prefix/]: applications may have the files below it sent, by X-Sendfile and X-Accel-Redirect")),

    row(c"WSGIAccessScript", Access, Request(request::access_script), c"script [option=value ...]: a script that allows or forbids"),
    row(c"WSGIAuthUserScript", Access, Request(request::auth_user_script), c"script [option=value ...]: a script that checks passwords"),
    row(c"WSGIAuthGroupScript", Access, Request(request::auth_group_script), c"script [option=value ...]: a script that knows users' groups"),
    row(c"WSGIGroupAuthoritative", Access, Request(request::group_authoritative), c"On|Off: accepted, without effect"),

    row(c"WSGIServerMetrics", Global, Process(process::server_metrics), c"On|Off: whether applications see server metrics (embedded mode)"),
    unix(row(c"WSGITelemetryService", Global, Process(telemetry::service), c"unix:/path [interval=seconds]: where telemetry goes")),
    row(c"WSGISlowRequests", Global, Process(telemetry::slow_requests), c"seconds: from when on a request is slow, which telemetry and the log tell"),
    unix(row(c"WSGIOpenTelemetry", Global, Process(telemetry::open), c"http://host:port [option=value ...]: a collector that gets metrics and traces over OTLP/HTTP")),
    unix(row(c"WSGITelemetryOptions", Global, Process(telemetry::options), c"[+-]flag ...: what telemetry holds")),
];
