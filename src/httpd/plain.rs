//! Reading a client's connection without Apache's filters, where none of them changes anything: brigades and buffers
//! for each read, and a second read to find that nothing more is there, cost more than a message of a WebSocket.

use std::ffi::CStr;
use std::sync::OnceLock;

use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use super::request::Request;
use super::{socket, sys};
use crate::relay::client::Gone;

/// The filter of the core, which reads the socket.
const CORE: &CStr = c"core_in";

/// The filter of mod_logio, which counts.
const COUNTER: &CStr = c"log_input_output";

/// The input of a client's connection where bytes come as they are read from its socket.
#[derive(Clone, Copy)]
pub(super) struct PlainInput {
    /// Whether mod_logio counts what comes.
    is_counted: bool,
}

impl PlainInput {
    /// The input of a request's connection; `None` if a filter may change something. What filters hold already comes
    /// first, and has to be taken from them.
    pub(super) fn of(r: &Request<'_>) -> Option<Self> {
        let (mut filter, mut is_counted) = (r.connection().input_filters, false);
        // SAFETY: S1: the filters of a connection, the last of which has none behind it.
        while let Some(one) = unsafe { filter.as_ref() } {
            // SAFETY: a filter has its record.
            let name = unsafe { one.frec.as_ref() }?.name;
            if name.is_null() {
                return None;
            }
            // SAFETY: S6; a record has its name.
            match unsafe { CStr::from_ptr(name) } {
                name if name == CORE => {}
                name if name == COUNTER => is_counted = true,
                _ => return None,
            }
            filter = one.next;
        }
        socket::of_client(r).map(|_| Self { is_counted })
    }

    /// Appends at most as much as there is room for. Returns whether more may have come.
    ///
    /// # Errors
    /// [`Gone`]: nothing more comes.
    pub(super) fn receive(self, r: &Request<'_>, out: &mut Vec<u8>) -> Result<bool, Gone> {
        let socket = socket::of_client(r).ok_or(Gone)?;
        let room = out.capacity() - out.len();
        match recv(socket, spare_capacity(out), RecvFlags::DONTWAIT) {
            Ok((0, _)) => Err(Gone),
            Ok((length, _)) => {
                if self.is_counted {
                    count(r, length);
                }
                Ok(length == room)
            }
            Err(Errno::INTR) => Ok(true),
            Err(Errno::AGAIN) => Ok(false),
            Err(_) => Err(Gone),
        }
    }
}

/// Tells mod_logio of bytes that its filter has not seen.
fn count(r: &Request<'_>, bytes: usize) {
    type Add = unsafe extern "C" fn(*mut sys::conn_rec, sys::apr_off_t);
    static LOOKED_UP: OnceLock<Option<Add>> = OnceLock::new();
    let add = LOOKED_UP.get_or_init(|| {
        // SAFETY: optional functions are registered before the first request and stay.
        let found = unsafe { sys::apr_dynamic_fn_retrieve(c"ap_logio_add_bytes_in".as_ptr()) };
        // SAFETY: the type that http_core.h declares for this name.
        found.map(|f| unsafe { std::mem::transmute::<unsafe extern "C" fn(), Add>(f) })
    });
    if let Some(add) = add {
        // SAFETY: S1; its filter is one of the connection's, and so has its record there.
        unsafe { add(r.rec().connection, bytes as sys::apr_off_t) };
    }
}
