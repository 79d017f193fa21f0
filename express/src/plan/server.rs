//! Apache's whole configuration, put together.

use httpd_conf::{Environment, Hosting, HostingMode, Mpm, RunAs, Server, Sites, Sizes, Wsgi};

use super::account::Account;
use super::apache::Installation;
use super::context::Context;
use super::entry::Entry;
use super::error::PlanError;
use super::logs::LogDestination;
use super::root::Sockets;
use super::{content, daemon, network, telemetry};
use crate::facts::Facts;
use crate::options::{ApplicationType, Options, pairs};

/// Decides about every part of the configuration.
///
/// # Errors
/// [`PlanError`]
#[allow(clippy::too_many_arguments, reason = "the parts that a server is put together from")]
pub fn server(
    context: &Context,
    entry: &Entry,
    sites: Sites,
    label: &str,
    account: &Account,
    installation: &Installation,
    logs: &LogDestination,
    sockets: &Sockets,
    facts: &Facts,
) -> Result<Server, PlanError> {
    let Options { capacity, monitoring, proxying, debugging, .. } = context.options;
    let order = if debugging.one_process() { network::one_process_mpms(context.options) } else { Mpm::ALL };
    let mpm = installation.mpm(&capacity.server_mpm, order)?;
    let requests = context.options.requests(mpm != Mpm::Prefork);
    let mut hosting = (entry.kind != ApplicationType::Static).then(|| daemon::hosting(context, label));
    let sizes = match &hosting {
        _ if debugging.one_process() => Sizes::embedded(mpm, 1, 1, 0),
        Some(Hosting { mode: HostingMode::Embedded { .. }, .. }) => Sizes::embedded(
            mpm,
            capacity.processes.unwrap_or(1).into(),
            capacity.threads.into(),
            capacity.maximum_requests.into(),
        ),
        _ => Sizes::new(mpm, requests, capacity.max_clients.map(u64::from), daemon::fractions(context.options)),
    };
    let sizes = Sizes { connection_factor: sizes.factor(mpm, context.options.websockets()), ..sizes };
    if let Some(Hosting { mode: HostingMode::Daemons { settings, .. }, .. }) = &mut hosting {
        settings.push(("worker-limit", daemon::worker_limit(sizes.max_workers, requests).to_string()));
    }
    let mut server = Server {
        pid_file: context
            .here
            .absolute_or(context.options.layout.pid_file.as_deref(), || context.root.join("httpd.pid")),
        run_as: RunAs { user: account.user.clone(), group: account.group.clone() },
        library: facts.library(),
        modules: Vec::new(),
        sizes,
        connection: network::connection(context.options),
        logs: logs.logs(&context.options.logging),
        content: content::content(context, entry, installation, mpm)?,
        proxy: network::proxy(context.options),
        access: network::access(context.options, &context.here, label)?,
        status_page: monitoring.server_status,
        metrics: monitoring.server_metrics,
        wsgi: Wsgi {
            python_home: facts.prefix.clone(),
            socket_prefix: sockets.prefix.clone(),
            settings: daemon::directives(context.options),
            services: daemon::services(context, logs)?,
            access: daemon::access(context),
            trusted_proxies: proxying.trust_proxy.clone(),
            trusted_headers: proxying.trust_proxy_header.clone(),
            telemetry: telemetry::telemetry(context)?,
            ignore_activity: context.options.timeouts.ignore_activity.clone(),
            hosting,
        },
        environment: Environment {
            set: pairs(&context.options.identity.setenv).map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
            pass: context.options.identity.passenv.clone(),
        },
        includes: context.here.existing_all("--include-file", &context.options.content.include_file)?,
        root: context.root.to_owned(),
        sites,
        mpm,
    };
    server.modules = installation.modules(&server.needed_modules(), mpm, &facts.module)?;
    Ok(server)
}
