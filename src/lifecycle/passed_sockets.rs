//! Sockets that systemd has opened take the place of those that httpd would open for `Listen`.
#![forbid(unsafe_code)]

use std::ffi::CString;
use std::io;

use wsgi_unix::passed::Place;
use wsgi_wire::messages::configuration as messages;

use crate::httpd::listeners;
use crate::httpd::log;
use crate::httpd::server::{self, Run, Server};
use crate::policy::passed_sockets::{Step, Wanted, matched};

/// The port of HTTP.
const HTTP: u16 = 80;

/// Gives each `Listen` the passed socket of its address and port, before httpd opens its own, at each start and
/// restart. Unix sockets need no `Listen`. What is left is named.
pub(super) fn take(main: Server<'_>) {
    if server::run() == Run::ConfigTest || listeners::are_anothers() {
        return;
    }
    let passed = listeners::passed();
    if passed.is_empty() {
        return;
    }
    let (mut sockets, mut unix, mut rest) = (Vec::new(), Vec::new(), Vec::new());
    for (number, place) in passed.places() {
        match place {
            Ok(Place::Inet(address)) => sockets.push((number, address)),
            Ok(place @ (Place::Unix(_) | Place::Abstract(_))) => unix.push((number, place.to_string())),
            Err(unusable) => rest.push(format!("{number}, which {unusable}")),
        }
    }
    let listeners = listeners::all();
    let wanted: Vec<_> = listeners.iter().map(|l| Wanted { place: l.place, is_open: l.is_open }).collect();
    let places: Vec<_> = sockets.iter().map(|(_, place)| *place).collect();
    let (steps, unmatched) = matched(&wanted, &places);
    rest.extend(unmatched.iter().map(|index| places[*index].to_string()));
    // From behind, so that no index changes.
    for (at, step) in steps.into_iter().enumerate().rev() {
        match step {
            Step::Leave => {}
            Step::Drop => listeners::drop_listener(at),
            Step::Take(index) => {
                let (number, place) = sockets[index];
                if let Err(error) = listeners::take(at, number, main) {
                    rest.push(format!("{place} ({error})"));
                }
            }
        }
    }
    // The virtual hosts of what speaks plain HTTP are those of a unix socket, too.
    let plain = listeners.iter().find(|listener| !listener.is_secure).and_then(|listener| listener.place);
    let port = plain.map_or(HTTP, |place| place.port());
    for (number, name) in unix {
        let added = CString::new(name.as_str()).map_err(io::Error::from);
        if let Err(error) = added.and_then(|name| listeners::add(number, &name, port, main)) {
            rest.push(format!("{name} ({error})"));
        }
    }
    if server::run() == Run::Real && !rest.is_empty() {
        log::server(
            main,
            &messages::UNUSED_SOCKETS,
            format_args!(
                "sockets passed by systemd that are for no Listen: {}; correct Listen, or ListenStream= of the .socket unit",
                rest.join(", ")
            ),
        );
    }
}
