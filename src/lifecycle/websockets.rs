//! How many WebSockets this Apache can have.
#![forbid(unsafe_code)]

use wsgi_wire::messages::configuration;

use crate::directives::configuration::Configuration;
use crate::httpd::server::{self, Server};
use crate::httpd::{log, tree};
use crate::policy::suspension;

/// How many WebSockets all children together may have that hold no thread of them; `None` where each of them holds one.
/// Warns where groups are told to have more.
pub fn suspended(configuration: &Configuration, main: Server<'_>) -> Option<u32> {
    let factor = suspension::factor(&tree::configuration());
    let (children, threads) = server::capacity();
    let room = suspension::room(threads, factor);
    let is_possible = configuration.suspends_websockets && server::is_async() && room > 0;
    let has = if is_possible { children.saturating_mul(room) } else { children.saturating_mul(threads) };
    let given = configuration.groups.iter().filter_map(|group| {
        let each = group.options.limit_websockets?;
        Some(each.saturating_mul(group.options.processes.unwrap_or(1)))
    });
    let wanted = given.fold(0, u32::saturating_add);
    if wanted > has {
        log::server(
            main,
            &configuration::MANY_WEBSOCKETS,
            format_args!(
                "limit-websockets lets process groups have {wanted} WebSockets, and this Apache can hold {has}; raise \
                 AsyncRequestWorkerFactor of the MPM event, or MaxRequestWorkers"
            ),
        );
    }
    is_possible.then_some(has)
}
