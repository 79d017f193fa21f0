//! The lines that `start-server` and `setup-server` print before anything runs.

use std::fmt::Write;

use httpd_conf::{Fractions, Hosting, HostingMode, Mpm, Sizes};

use crate::options::Interface;
use crate::plan::Plan;
use crate::sockets;

/// The width of the labels, kept from mod_wsgi-express for scripts that look for them.
const LABEL: usize = 19;

/// Makes the lines. `setup`: nothing is going to be started now.
pub fn banner(plan: &Plan, setup: bool) -> String {
    let mut text = String::new();
    for (label, value) in lines(plan, setup) {
        let _ = writeln!(text, "{label:LABEL$}: {value}");
    }
    text
}

fn lines(plan: &Plan, setup: bool) -> Vec<(&'static str, String)> {
    let Plan { options, server, control, .. } = plan;
    let (logging, timeouts, capacity) = (&options.logging, &options.timeouts, &options.capacity);
    let sites = &server.sites;
    let url = |scheme: &str, port: u16, usual: u16| {
        let host = sites.name.as_ref().or(sites.address.as_ref()).map_or("localhost", |address| reached(address));
        if port == usual { format!("{scheme}://{host}/") } else { format!("{scheme}://{host}:{port}/") }
    };
    let home = url("http", sites.port, 80);
    let mut lines = Vec::new();
    if !sites.only_unix {
        lines.push(("Server URL", home.clone()));
    }
    for (address, port) in &sites.more {
        let host = address.as_deref().map_or("localhost", reached);
        lines.push(("Server URL", format!("http://{host}:{port}/")));
    }
    lines.extend(sites.unix.iter().map(|socket| ("Server Socket", socket.clone())));
    if let Some(tls) = &sites.tls {
        lines.push(("Server URL (HTTPS)", url("https", tls.port, 443)));
    }
    let passed = if setup { Vec::new() } else { sockets::passed_places() };
    if !passed.is_empty() {
        let passed: Vec<String> = passed.iter().map(ToString::to_string).collect();
        lines.push(("Passed Sockets", passed.join(", ")));
    }
    if server.status_page {
        lines.push(("Server Status", format!("{home}server-status, {home}wsgi-status")));
    }
    lines.push(("Server Root", server.root.to_string()));
    lines.push(("Server Conf", server.root.join("httpd.conf").to_string()));
    lines.push(("Error Log File", format!("{} ({})", plan.logs.place(&logging.error_log_name), logging.log_level)));
    if logging.access_log {
        lines.push(("Access Log File", plan.logs.place(&logging.access_log_name)));
    }
    if let Some(file) = plan.logs.startup() {
        lines.push(("Startup Log File", file.to_string()));
    }
    lines.extend(plan.tools.outputs().map(|(tool, directory)| (tool.label, directory.to_string())));
    if setup || options.content.rewrite_rules.is_some() {
        lines.push(("Rewrite Rules", server.content.rewrite_rules.to_string()));
    }
    if setup || options.identity.envvars_script.is_some() {
        lines.push(("Environ Variables", control.envvars().to_string()));
    }
    if setup {
        lines.push(("Control Script", control.path().to_string()));
    }
    let one_process = plan.control.is_one_process();
    let (each, what) = options.concurrency();
    let (processes, each) = if one_process { (1, 1) } else { (capacity.processes.unwrap_or(1), each) };
    let requests = u64::from(processes) * u64::from(each);
    if let Some(hosting) = &server.wsgi.hosting {
        let mode = match hosting.mode {
            _ if one_process => "debug",
            HostingMode::Embedded { .. } => "embedded",
            HostingMode::Daemons { .. } => "daemon",
        };
        lines.push(("Operating Mode", mode.to_owned()));
        if options.interface() == Interface::Asgi {
            lines.push(("Interface", "ASGI".to_owned()));
        }
        let plural = if processes == 1 { "process" } else { "processes" };
        lines.push(("Request Capacity", format!("{requests} ({processes} {plural} * {each} {what})")));
    }
    if let Some(Hosting { mode: HostingMode::Daemons { .. }, .. }) = &server.wsgi.hosting {
        lines.push(("Request Timeout", seconds(timeouts.request_timeout)));
        if timeouts.interrupt_timeout > 0 {
            lines.push(("Interrupt Timeout", seconds(timeouts.interrupt_timeout)));
        }
        if timeouts.startup_timeout > 0 {
            lines.push(("Startup Timeout", seconds(timeouts.startup_timeout)));
        }
        lines.push(("Queue Backlog", format!("{} (connections)", options.transfer.daemon_backlog)));
        lines.push(("Queue Timeout", seconds(timeouts.queue_timeout)));
        let clients = |mpm| {
            let max = capacity.max_clients.map(u64::from);
            Sizes::new(mpm, options.requests(mpm != Mpm::Prefork), max, Fractions::default()).max_workers
        };
        let (threaded, prefork) = (clients(Mpm::Event), clients(Mpm::Prefork));
        lines.push(("Server Capacity", format!("{threaded} (event/worker), {prefork} (prefork)")));
    }
    lines.push(("Server Backlog", format!("{} (connections)", options.transfer.server_backlog)));
    lines.push(("Locale Setting", plan.locale.clone()));
    lines
}

/// The host of a URL by which a server is reached that listens at this address.
fn reached(address: &str) -> &str {
    if matches!(address, "0.0.0.0" | "[::]") { "localhost" } else { address }
}

fn seconds(number: u32) -> String {
    format!("{number} (seconds)")
}
