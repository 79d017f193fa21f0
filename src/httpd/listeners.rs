//! The addresses that httpd is about to listen at, and the sockets that systemd has opened there. httpd opens what its
//! list (`ap_listeners`) does not call active, after the hook `check_config`; at a restart it takes over what it has.
//!
//! All of this is for the parent's only thread, before its children.

use std::ffi::{CStr, c_int, c_void};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::ptr;

use rustix::net::sockopt;
use wsgi_unix::passed::{self, Passed};
use wsgi_wire::descriptors::PASSED_SOCKETS;

use super::server::{self, Server};
use super::sys::{self, ap_listen_rec, apr_sockaddr_t, conn_rec};
use super::{bytes, process};

/// The address that httpd takes the clients of a unix socket for.
const HERE: &CStr = c"127.0.0.1";

/// The protocol of a unix socket, by httpd's name: there is no `AcceptFilter` for it, which would need TCP.
const PROTOCOL: &CStr = c"unix";

/// What the parent keeps across restarts. All zero in a new process.
#[derive(Clone, Copy)]
#[repr(C)]
struct Retained {
    /// Whether the environment has been asked.
    asked: bool,
    /// The process that has been.
    pid: u32,
    passed: Passed,
    /// Whether a unix socket is among them.
    unix: bool,
}

/// # Safety
/// Called in the parent's only thread, or in a child before it has any other; one result is alive at a time.
unsafe fn retained<'a>() -> &'a mut Retained {
    // SAFETY: httpd keeps the memory for good, zeroed at first, which is a valid `Retained` (tested below).
    unsafe { &mut *server::retained::<Retained>(c"mod_wsgi passed") }
}

/// The sockets that are passed to this process. The first time the environment says so, and loses these variables:
/// nobody is to believe them who is started by httpd. Called from `check_config`.
pub fn passed() -> Passed {
    // SAFETY: `check_config` runs in the parent's only thread.
    let kept = unsafe { retained() };
    if !kept.asked {
        let variable = |name: &str| std::env::var(name).ok();
        let passed =
            variable(PASSED_SOCKETS).map_or_else(|| Passed::by_systemd(variable), |list| Passed::listed(&list));
        passed.keep();
        *kept = Retained { asked: true, pid: std::process::id(), passed, unix: false };
        process::remove_variables(&passed::VARIABLES);
        process::remove_variables(&[PASSED_SOCKETS]);
    }
    kept.passed
}

/// In a child that has just been forked: closes them. What httpd listens at is another descriptor.
pub fn leave_to_parent() {
    // SAFETY: a child has the one thread that forked it.
    let kept = unsafe { retained() };
    if kept.asked && kept.pid != std::process::id() {
        kept.passed.close();
        kept.asked = false;
    }
}

/// Whether httpd's own mod_systemd deals with passed sockets: it then takes nothing but them.
pub fn are_anothers() -> bool {
    // SAFETY: the name ends in NUL; httpd only compares it.
    unsafe { sys::apr_dynamic_fn_retrieve(c"ap_find_systemd_socket".as_ptr()) }.is_some()
}

/// An address of httpd's list.
#[derive(Debug, Clone, Copy)]
pub struct Listener {
    /// The address and port; `None` for what is neither IPv4 nor IPv6.
    pub place: Option<SocketAddr>,
    /// Whether its socket listens already.
    pub is_open: bool,
    /// Whether TLS is spoken there.
    pub is_secure: bool,
}

/// Reads httpd's list.
pub fn all() -> Vec<Listener> {
    let listener = |record: *mut ap_listen_rec| {
        // SAFETY: S8.
        let record = unsafe { &*record };
        // SAFETY: S6; the text lives as long as the record.
        let protocol = unsafe { bytes(record.protocol) };
        Listener {
            place: address(record.bind_addr),
            is_open: record.active != 0,
            is_secure: protocol.is_some_and(|protocol| protocol.eq_ignore_ascii_case(b"https")),
        }
    };
    records().map(listener).collect()
}

/// The records of httpd's list, which live as long as the process; nobody else has one while `check_config` runs.
fn records() -> impl Iterator<Item = *mut ap_listen_rec> {
    // SAFETY: httpd changes the list in this thread alone.
    let first = unsafe { sys::ap_listeners };
    let some = |record: *mut ap_listen_rec| (!record.is_null()).then_some(record);
    // SAFETY: a record of the list.
    std::iter::successors(some(first), move |record| some(unsafe { (**record).next }))
}

/// An address as APR has it.
fn address(raw: *const apr_sockaddr_t) -> Option<SocketAddr> {
    // SAFETY: null, or an address in the pool of the process.
    let raw = unsafe { raw.as_ref() }?;
    let at = raw.ipaddr_ptr;
    let ip = match usize::try_from(raw.ipaddr_len).ok().filter(|_| !at.is_null())? {
        // SAFETY: APR says that so many bytes are there, which are those of an address.
        4 => IpAddr::V4(Ipv4Addr::from(unsafe { at.cast::<[u8; 4]>().read_unaligned() })),
        // SAFETY: as above.
        16 => IpAddr::V6(Ipv6Addr::from(unsafe { at.cast::<[u8; 16]>().read_unaligned() })),
        _ => return None,
    };
    Some(SocketAddr::new(ip, raw.port))
}

/// Gives the listener of this index a passed socket: httpd opens none for it.
///
/// # Errors
/// That there can be no more descriptors.
pub fn take(index: usize, number: RawFd, main: Server<'_>) -> io::Result<()> {
    let Some(record) = records().nth(index) else { return Ok(()) };
    let socket = passed::duplicate(number)?;
    // As httpd sets them, for connections to inherit.
    sockopt::set_tcp_nodelay(&socket, true)?;
    sockopt::set_socket_keepalive(&socket, true)?;
    // SAFETY: S8.
    let record = unsafe { &mut *record };
    // SAFETY: the address of a record lives as long as that.
    let bound = unsafe { &mut *record.bind_addr };
    let made = make(&socket, (&raw mut bound.sa).cast(), bound.family, main).ok_or(io::ErrorKind::OutOfMemory)?;
    close(record);
    record.sd = made;
    record.active = 1;
    // It is APR's now.
    let _ = socket.into_raw_fd();
    Ok(())
}

/// Adds a passed unix socket to httpd's list, which no directive does. httpd knows addresses of IPv4 and IPv6 only: to
/// it, the connections come from [`HERE`] to this port there ([`name_client`]). `name` is no host's, so that httpd
/// takes
/// the record over for no `Listen`: at a restart it closes this descriptor, and gets another one.
///
/// # Errors
/// That there can be no more descriptors.
pub fn add(number: RawFd, name: &CStr, port: u16, main: Server<'_>) -> io::Result<()> {
    let none = || io::Error::from(io::ErrorKind::OutOfMemory);
    let socket = passed::duplicate(number)?;
    // SAFETY: S5: the process's record is there as long as the server.
    let pool = unsafe { (*main.rec().process).pool };
    // SAFETY: the pool of the process.
    let bound = unsafe { here(port, pool) }.ok_or_else(none)?;
    // SAFETY: it has just been made.
    let address = unsafe { &mut *bound };
    // SAFETY: the text ends in NUL; APR copies it.
    address.hostname = unsafe { sys::apr_pstrmemdup(pool, name.as_ptr(), name.count_bytes()) };
    let made = make(&socket, (&raw mut address.sa).cast(), address.family, main).ok_or_else(none)?;
    // SAFETY: the pool of the process.
    let record = unsafe { sys::apr_palloc(pool, size_of::<Room>()) };
    if record.is_null() {
        return Err(none());
    }
    let record = record.cast::<Room>();
    // SAFETY: there is room for it, and zeroes are valid: null pointers, no function, numbers.
    unsafe { record.write_bytes(0, 1) };
    let record = record.cast::<ap_listen_rec>();
    // SAFETY: as above; nobody else has it yet.
    let new = unsafe { &mut *record };
    new.sd = made;
    new.bind_addr = bound;
    new.active = 1;
    new.protocol = PROTOCOL.as_ptr();
    match records().last() {
        // SAFETY: S8.
        Some(last) => unsafe { (*last).next = record },
        // SAFETY: httpd changes the list in this thread alone.
        None => unsafe { sys::ap_listeners = record },
    }
    // It is APR's now.
    let _ = socket.into_raw_fd();
    // SAFETY: `check_config` runs in the parent's only thread.
    unsafe { retained() }.unix = true;
    Ok(())
}

/// This port of [`HERE`].
///
/// # Safety
/// The pool is this thread's.
unsafe fn here(port: u16, pool: *mut sys::apr_pool_t) -> Option<*mut apr_sockaddr_t> {
    let mut made = ptr::null_mut();
    // SAFETY: the name ends in NUL, and is an address in digits, for which nobody is asked.
    let status = unsafe { sys::apr_sockaddr_info_get(&raw mut made, HERE.as_ptr(), libc::AF_INET, port, 0, pool) };
    (status == 0 && !made.is_null()).then_some(made)
}

/// Whether connections may come by a unix socket. Called while hooks are registered.
pub fn has_unix() -> bool {
    // SAFETY: hooks are registered in the parent's only thread.
    unsafe { retained() }.unix
}

/// Gives a client that has connected to a unix socket an address that all of httpd knows: whoever may open the socket
/// is
/// on this machine.
///
/// # Safety
/// Called by httpd as the hook `pre_connection`.
pub unsafe fn name_client(connection: *mut conn_rec) {
    // SAFETY: httpd hands over a connection that is this thread's.
    let connection = unsafe { &mut *connection };
    if address(connection.client_addr).is_some() {
        return;
    }
    // SAFETY: the connection's pool is this thread's.
    if let Some(client) = unsafe { here(0, connection.pool) } {
        connection.client_addr = client;
        connection.client_ip = HERE.as_ptr().cast_mut();
    }
}

/// A record of httpd's list, with room behind it: that of a later version may have more fields at its end.
#[repr(C)]
struct Room {
    record: ap_listen_rec,
    later: [u64; 32],
}

/// Takes the listener of this index off httpd's list.
pub fn drop_listener(index: usize) {
    let Some(record) = records().nth(index) else { return };
    // SAFETY: S8.
    let (record, before) = (unsafe { &mut *record }, index.checked_sub(1).and_then(|before| records().nth(before)));
    close(record);
    match before {
        // SAFETY: S8; it is another record.
        Some(before) => unsafe { (*before).next = record.next },
        // SAFETY: httpd changes the list in this thread alone.
        None => unsafe { sys::ap_listeners = record.next },
    }
}

/// Closes the socket of a record that httpd has made and not bound.
fn close(record: &mut ap_listen_rec) {
    if !record.sd.is_null() {
        // SAFETY: the record's own, which nobody uses.
        unsafe { sys::apr_socket_close(record.sd) };
        record.sd = ptr::null_mut();
    }
}

/// A socket as APR has it, in the pool of the process. `local` is an address of this family.
fn make(socket: &OwnedFd, local: *mut c_void, family: c_int, main: Server<'_>) -> Option<*mut sys::apr_socket_t> {
    let mut number = socket.as_raw_fd();
    let mut info = sys::apr_os_sock_info_t {
        os_sock: &raw mut number,
        local: local.cast(),
        remote: ptr::null_mut(),
        family,
        type_: libc::SOCK_STREAM,
        protocol: 0,
    };
    let mut made = ptr::null_mut();
    // SAFETY: S5: the process's record is there as long as the server.
    let pool = unsafe { (*main.rec().process).pool };
    // SAFETY: APR copies what it is given; the address is as long as its family says.
    let status = unsafe { sys::apr_os_sock_make(&raw mut made, &raw mut info, pool) };
    (status == 0 && !made.is_null()).then_some(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeroed_memory_is_a_process_that_has_not_been_asked() {
        // SAFETY: this is what the test is about: numbers and a bool.
        let kept: Retained = unsafe { std::mem::zeroed() };
        assert!(!kept.asked && kept.passed.is_empty());
    }
}
