//! The unit by which systemd runs a server: the same command line, and no more rights than a web application needs.

use std::fmt::Write;
use std::net::ToSocketAddrs;

use camino::{Utf8Path, Utf8PathBuf};
use httpd_conf::{Hosting, HostingMode};

use crate::facts::Facts;
use crate::plan::{Caller, Plan};

/// The prefix of the names of variables with options.
const VARIABLES: &str = "MOD_WSGI_EXPRESS_";
/// The directories of homes, which are hidden from services.
const HOMES: [&str; 3] = ["/home", "/root", "/run/user"];
/// The first port that everybody may listen on.
const FREE_PORT: u16 = 1024;
/// How many seconds the start takes beside those that the application has for its own.
const START: u32 = 30;

/// The settings that take away the rights which no such service needs.
const HARDENING: &str = "\
# What no web application needs; take away what yours does.
NoNewPrivileges=yes
ProtectSystem=strict
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RemoveIPC=yes
LockPersonality=yes
KeyringMode=private
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
UMask=0027
";

/// Makes the text of the unit.
pub fn unit(plan: &Plan, facts: &Facts, caller: &Caller) -> String {
    let name = name(plan, caller);
    let notifies = matches!(&plan.server.wsgi.hosting, Some(Hosting { mode: HostingMode::Daemons { .. }, .. }));
    let mut text = format!(
        "# Made by mod_wsgi-express setup-server --systemd: put it into /etc/systemd/system/{name}.service,\n\
         # then systemctl daemon-reload, and systemctl enable --now {name}\n\
         [Unit]\nDescription={name}\nAfter=network.target\n\n[Service]\n"
    );
    let mut set = |name: &str, value: &str| {
        // Writing to a string never fails.
        let _ = writeln!(text, "{name}={value}");
    };
    if notifies {
        set("Type", "notify");
        // It is the supervisor, and not Apache, that knows whether the application is loaded.
        set("NotifyAccess", "all");
        set("WatchdogSec", "60");
        let startup = plan.options.timeouts.startup_timeout;
        set("TimeoutStartSec", &startup.saturating_add(START).max(90).to_string());
    } else {
        set("Type", "exec");
    }
    let identity = &plan.options.identity;
    match &identity.user {
        Some(user) => {
            set("User", user);
            set("Group", &plan.account.group);
        }
        None => set("DynamicUser", "yes"),
    }
    set("StateDirectory", &name);
    set("WorkingDirectory", &escaped(caller.directory.as_str()));
    for (name, value) in caller.variables.iter().filter(|(name, _)| name.starts_with(VARIABLES)) {
        if !name.ends_with("_FACTS") {
            set("Environment", &word(&format!("{name}={value}")));
        }
    }
    set("ExecStart", &command(plan, facts, caller).join(" "));
    set("ExecReload", "/bin/kill -USR1 $MAINPID");
    set("KillMode", "mixed");
    set("Restart", "on-failure");
    set("LimitNOFILE", "65536");
    let sites = &plan.server.sites;
    let tls = sites.tls.iter().map(|tls| tls.port);
    let is_privileged = sites.listeners().map(|(_, port)| port).chain(tls).any(|port| port < FREE_PORT);
    let capabilities = if is_privileged { "CAP_NET_BIND_SERVICE" } else { "" };
    set("AmbientCapabilities", capabilities);
    set("CapabilityBoundingSet", capabilities);
    let is_at_home = |path: &Utf8Path| HOMES.iter().any(|home| path.starts_with(home));
    let used = [&caller.directory, &plan.working_directory, &facts.prefix];
    set("ProtectHome", if used.into_iter().any(|path| is_at_home(path)) { "read-only" } else { "yes" });
    text + HARDENING + "\n[Install]\nWantedBy=multi-user.target\n"
}

/// Makes the text of the unit of the sockets: systemd opens them, and starts the service when somebody connects.
pub fn socket(plan: &Plan, caller: &Caller) -> String {
    let (name, sites) = (name(plan, caller), &plan.server.sites);
    let mut text = format!(
        "# Made by mod_wsgi-express setup-server --systemd=socket: put it into /etc/systemd/system/{name}.socket, beside\n\
         # {name}.service (setup-server --systemd), then systemctl daemon-reload, and systemctl enable --now {name}.socket\n\
         [Unit]\nDescription=Sockets of {name}\n\n[Socket]\n"
    );
    let http = sites.listeners().map(|(address, port)| (address.as_deref(), port));
    let https = sites
        .tls
        .iter()
        .flat_map(|tls| sites.secure_addresses().into_iter().map(|address| (address.as_deref(), tls.port)));
    let streams: Vec<String> = http.chain(https).map(|(address, port)| stream(address, port)).collect();
    let unix = sites.unix.iter().map(|socket| socket.trim_start_matches("unix:"));
    for stream in streams.iter().map(String::as_str).chain(unix) {
        let _ = writeln!(text, "ListenStream={}", escaped(stream));
    }
    let has = |start: &str| streams.iter().any(|stream| stream.starts_with(start));
    if has("0.0.0.0:") && has("[::]:") {
        text += "BindIPv6Only=ipv6-only\n";
    }
    let _ = writeln!(text, "Backlog={}", plan.options.transfer.server_backlog);
    if !sites.unix.is_empty() {
        text += "RemoveOnStop=yes\n";
    }
    text + "\n[Install]\nWantedBy=sockets.target\n"
}

/// An address as `ListenStream=` takes it, which takes no name of a host.
fn stream(address: Option<&str>, port: u16) -> String {
    let Some(address) = address else { return port.to_string() };
    let text = format!("{address}:{port}");
    let resolved = text.to_socket_addrs().ok().and_then(|mut found| found.next());
    resolved.map_or(text, |resolved| resolved.to_string())
}

/// The name of the service: that of the process group, else that of the directory.
fn name(plan: &Plan, caller: &Caller) -> String {
    let given = plan.options.application.process_group.as_deref();
    let name = given.or_else(|| caller.directory.file_name()).unwrap_or("mod_wsgi");
    name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' }).collect()
}

/// The command line that starts the server: as it was given, without what the unit itself says.
fn command(plan: &Plan, facts: &Facts, caller: &Caller) -> Vec<String> {
    let script = facts.executable.with_file_name("mod_wsgi-express");
    let program: Vec<Utf8PathBuf> = if script.is_file() {
        vec![script]
    } else {
        vec![facts.executable.clone(), "-m".into(), "mod_wsgi.express.cli".into()]
    };
    let mut words: Vec<String> = program.iter().map(|path| word(path.as_str())).collect();
    words.push("start-server".to_owned());
    let mut given = caller.command.iter().skip(1);
    while let Some(argument) = given.next() {
        let name = argument.split('=').next().unwrap_or_default();
        match name {
            "--systemd" | "--setup-only" => {}
            // The service is that user from the beginning.
            "--user" | "--group" if argument == name => drop(given.next()),
            "--user" | "--group" => {}
            _ => words.push(word(argument)),
        }
    }
    if plan.options.layout.server_root.is_none() {
        words.extend(["--server-root".to_owned(), "${STATE_DIRECTORY}/server".to_owned()]);
    }
    if !plan.options.logging.log_to_terminal && plan.options.logging.log_directory.is_none() {
        words.push("--log-to-terminal".to_owned());
    }
    words
}

/// Escapes a text in which systemd would see specifiers.
fn escaped(text: &str) -> String {
    text.replace('%', "%%")
}

/// Quotes one word of a command line or of `Environment`.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    for c in escaped(text).chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '$' => out.push_str("$$"),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_mean_nothing_to_systemd() {
        assert_eq!(word("a.b/c=d"), "a.b/c=d");
        assert_eq!(word("a b"), "\"a b\"");
        assert_eq!(word("$X %h \"q\" \\"), r#""$$X %%h \"q\" \\""#);
        assert_eq!(word(""), "\"\"");
    }
}
