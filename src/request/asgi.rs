//! What is different for a request of a process group that speaks ASGI.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::time::Instant;

use wsgi_unix::stop;
use wsgi_wire::interface::Interface;
use wsgi_wire::messages::requests;

use super::destination::Destination;
use super::refused::Refused;
use super::way::Way;
use crate::daemons::{Group, Runtime};
use crate::httpd::request::Request;
use crate::relay::delivery::NotDelivered;
use crate::relay::queue::QueueTicket;
use crate::relay::wait_limits::{Expired, Missing, Wait};

/// Whether bodies of unknown length are taken where `WSGIChunkedRequest` says nothing.
pub fn takes_chunks(runtime: &Runtime, process_group: &[u8]) -> bool {
    // One whose interface shows when a process is ready may be of ASGI.
    runtime.groups.get(process_group).is_some_and(|group| group.speaks() != Some(Interface::Wsgi))
}

/// Settles what the request's process speaks, and what follows from that.
///
/// # Errors
/// [`Refused`]: nobody knows, because no process becomes ready; or the configuration wants what cannot be had.
pub fn settle(
    r: &mut Request<'_>,
    runtime: &Runtime,
    group: &Group,
    destination: &mut Destination<'_>,
) -> Result<(), Refused> {
    let interface = interface(group).map_err(|error| {
        let name = destination.process_group.to_vec();
        Way::new(runtime, group, &name).refused(&error, r)
    })?;
    if group.interface != Interface::Wsgi {
        // One loop, one interpreter; scripts are loaded into the main one before it is known what they are.
        if destination.names_application_group && !destination.application_group.is_empty() {
            let (name, group) = (&destination.application_group, &destination.process_group);
            let (name, group) = (String::from_utf8_lossy(name), String::from_utf8_lossy(group));
            let text = format!(
                "process group `{group}` has an event loop, and so one interpreter: application group `{name}` cannot be had there; leave it out, or name %{{GLOBAL}}"
            );
            return Err(Refused::new(&requests::NO_APPLICATION_GROUP, 500, text));
        }
        destination.application_group = Cow::Borrowed(b"");
    }
    destination.interface = interface;
    Ok(())
}

/// What the processes of a group speak. Waits for the first of them to say so.
fn interface(group: &Group) -> Result<Interface, NotDelivered> {
    if let Some(interface) = group.speaks() {
        return Ok(interface);
    }
    let (mut wait, record) = (Wait::new(Instant::now(), group.relay.wait_limits), group.relay.record);
    let mut place: Option<QueueTicket<'_>> = None;
    loop {
        if let Some(interface) = group.speaks() {
            return Ok(interface);
        }
        if record.is_failing() {
            return Err(NotDelivered::Failing);
        }
        if stop::has_begun() {
            return Err(NotDelivered::Stopping);
        }
        let pause = wait.pause(Instant::now(), Missing::Ready, true).map_err(|over| match over {
            Expired::Queue => NotDelivered::QueueTimeout,
            Expired::Silence | Expired::Connect => NotDelivered::NotReady,
        })?;
        place.get_or_insert_with(|| QueueTicket::take(&record.queue)).wait(pause);
    }
}
