//! The span of a request for a collector of OpenTelemetry, sent to the supervisor's exporter when the request is over.
//! Nobody waits for that; what cannot be sent at once is lost, and counted.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use rustix::net::{SendFlags, send};
use rustix::rand::{GetRandomFlags, getrandom};
use wsgi_wire::codec::{Bytes, Wire};
use wsgi_wire::export::{self, Datagram};
use wsgi_wire::limits::SPAN_TEXT;

use super::destination::Destination;
use super::way::now_in_microseconds;
use crate::daemons::Runtime;
use crate::httpd::HookStatus;
use crate::httpd::records::Socket;
use crate::httpd::request::Request;
use crate::httpd::{response, suspended, upgraded};
use crate::policy::trace::Trace;

/// Spans that this child could not send since the last one.
static LOST: AtomicU32 = AtomicU32::new(0);

/// The span of a request that goes on.
pub struct Span {
    /// The request's position in its trace.
    pub trace: Trace,
    socket: Socket,
    process_group: Bytes,
    application_group: Bytes,
    mount: Bytes,
}

impl Span {
    /// Begins a span, where the configuration names a collector.
    pub fn begin(r: &Request<'_>, runtime: &Runtime) -> Option<Self> {
        let (socket, sampling) = runtime.spans?;
        let mut drawn = [0; 24];
        // Without chance there is no number that would be nobody else's.
        getrandom(&mut drawn, GetRandomFlags::NONBLOCK).ok().filter(|filled| *filled == drawn.len())?;
        let trace = Trace::of(r.headers_in().get(c"traceparent"), sampling, drawn);
        let none = || Bytes::from(&b""[..]);
        Some(Self { trace, socket, process_group: none(), application_group: none(), mount: none() })
    }

    /// Notes where the request runs.
    pub fn runs_at(&mut self, destination: &Destination<'_>, script_name: &[u8]) {
        if self.trace.sampled {
            self.process_group = short(&destination.process_group);
            self.application_group = short(&destination.application_group);
            self.mount = short(script_name);
        }
    }

    /// Ends the span and sends it. That of a WebSocket ends when that does, whoever carries it.
    pub fn end(self, r: &mut Request<'_>, answer: &HookStatus) {
        if !self.trace.sampled {
            return;
        }
        match answer {
            HookStatus::Suspended => suspended::at_end(r, Box::new(|r| self.send(r, response::status(r)))),
            HookStatus::Status(status) => self.send(r, *status),
            _ => self.send(r, response::status(r)),
        }
    }

    fn send(self, r: &Request<'_>, status: u16) {
        let lost = LOST.swap(0, Relaxed);
        let socket = self.socket;
        let told = Datagram::Span(self.told(r, status, lost)).to_bytes();
        if send(socket.sends, &told, SendFlags::DONTWAIT | SendFlags::NOSIGNAL).is_err() {
            LOST.fetch_add(lost.saturating_add(1), Relaxed);
        }
    }

    fn told(self, r: &Request<'_>, status: u16, lost: u32) -> export::Span {
        let Trace { id, span, parent, .. } = self.trace;
        export::Span {
            trace: ((id >> 64) as u64, id as u64),
            id: span,
            parent: parent.unwrap_or(0),
            start: r.time(),
            end: now_in_microseconds().max(r.time()),
            status: status.into(),
            close: upgraded::close_code(r).unwrap_or(0).into(),
            lost,
            method: short(r.method()),
            path: short(r.uri()),
            mount: self.mount,
            scheme: short(r.scheme()),
            server: short(r.server_name()),
            port: r.server_port().into(),
            protocol: short(r.protocol()),
            client: short(r.client_ip()),
            user_agent: short(r.headers_in().get(c"User-Agent").unwrap_or_default()),
            process_group: self.process_group,
            application_group: self.application_group,
        }
    }
}

/// Cuts a text to the length that a span may have.
fn short(text: &[u8]) -> Bytes {
    text.get(..SPAN_TEXT).unwrap_or(text).into()
}
