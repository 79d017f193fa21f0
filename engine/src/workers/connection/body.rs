//! The body of a request as it comes in: from the socket to where the application reads it, without a place in between.

use std::sync::atomic::Ordering;

use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use wsgi_wire::codec::Wire;
use wsgi_wire::frame::{self, Kind};
use wsgi_wire::request::BodyError;

use super::Connection;
use crate::request::transport::{Gone, InputError, Transport};
use crate::workers::outgoing::TRANSFERS;

impl Connection {
    /// Asks for a piece of the request body and puts it behind what is in `into`:
    /// [`Transport::pull`].
    pub(super) fn receive_body(&mut self, max: u32, into: &mut Vec<u8>) -> Result<bool, InputError> {
        self.outgoing.put(Kind::Pull, |out| max.put(out));
        self.flush(true).map_err(|Gone| InputError::Gone)?;
        let malformed = |_| InputError::Client(BodyError::Malformed);
        loop {
            if let Some((Kind::Body, length)) = frame::announced(&self.received).map_err(malformed)? {
                return self.body_frame(length, into).map(|()| true);
            }
            if let Some(frame) = frame::first(&self.received).map_err(malformed)? {
                let end = match frame.kind {
                    Kind::BodyEnd => Ok(false),
                    Kind::BodyError => {
                        Err(InputError::Client(BodyError::from_bytes(frame.payload).map_err(malformed)?))
                    }
                    _ => Err(InputError::Gone),
                };
                let size = frame.size();
                self.received.drain(..size);
                return end;
            }
            // No timeout of ours here: how long a client may take is Apache's decision, which comes as `BodyError`.
            self.fill(RecvFlags::empty()).map_err(|Gone| self.interrupted())?;
        }
    }

    fn interrupted(&mut self) -> InputError {
        self.outgoing.lost();
        InputError::Gone
    }

    /// Takes the `Body` frame that begins in the buffer, whose payload is this long; what has not arrived yet goes to
    /// its place directly.
    fn body_frame(&mut self, length: usize, into: &mut Vec<u8>) -> Result<(), InputError> {
        let there = self.received.len().min(frame::HEADER + length);
        into.extend_from_slice(&self.received[frame::HEADER..there]);
        self.received.drain(..there);
        let end = into.len() + length - (there - frame::HEADER);
        while into.len() < end {
            into.reserve(end - into.len());
            match recv(self.socket(), spare_capacity(into), RecvFlags::empty()) {
                Ok((0, _)) => return Err(self.interrupted()),
                Ok(_) => TRANSFERS.fetch_add(1, Ordering::Relaxed),
                Err(Errno::INTR) => continue,
                Err(_) => return Err(self.interrupted()),
            };
        }
        // There can be more room than the frame needs; what follows it is another one.
        self.received.extend(into.drain(end..));
        Ok(())
    }
}
