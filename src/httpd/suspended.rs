//! A client's connection that no thread of httpd's holds: its handler has returned `SUSPENDED`, and a thread of ours
//! has it until its end. What httpd asks of whoever does that is in `docs/safety.md`, W1 to W8.

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::time::{Duration, Instant};

use rustix::net::{RecvFlags, Shutdown, recv, shutdown};

use super::pool::Pool;
use super::request::Request;
use super::sys::{self, conn_rec, request_rec};
use super::upgraded::{self, Upgraded};
use super::{config, response, server, socket};
use crate::relay::client::Gone;

/// How long httpd's worker may need, at the worst, from its hook to the last field that it writes (W5).
const SETTLED: Duration = Duration::from_secs(1);

/// How many free blocks of memory a connection has at the most: the buffers of a read, of two writes over TLS and of
/// the head of the answer. A block has 8 KiB.
const BLOCKS: usize = 4;

/// How many bytes those have.
const KEPT: usize = BLOCKS * (8 << 10);

/// Whoever has a connection when httpd's thread has left it.
pub trait Successor: Send {
    /// Takes the connection over, on httpd's thread, which must not wait.
    fn take_over(self: Box<Self>, connection: SuspendedConnection);
}

/// What waits in a connection for httpd's thread to leave.
struct Waiting {
    request: *mut request_rec,
    upgraded: Upgraded,
    send_timeout: Option<Duration>,
    successor: Box<dyn Successor>,
    at_end: Option<AtEnd>,
}

/// What is done with a request that has been left, before it ends.
pub type AtEnd = Box<dyn FnOnce(&mut Request<'_>) + Send>;

/// Whether the connection of this request can be taken from httpd's thread (W1).
pub fn may_be(r: &Request<'_>) -> bool {
    let is_redirected = r.redirected_from().is_some();
    server::is_async() && !r.shares_connection() && !r.is_part() && !is_redirected && !r.is_aborted()
}

/// Leaves the connection, which [may be](may_be) suspended, to a successor. The handler has to return
/// [`HookStatus::Suspended`](super::HookStatus::Suspended), and does nothing with the request before that.
pub fn leave(r: &mut Request<'_>, upgraded: Upgraded, successor: Box<dyn Successor>) {
    let connection = r.rec().connection;
    // SAFETY: S1: the pool of the connection, which lives longer than the request.
    let pool = unsafe { Pool::from_raw(r.connection().pool) };
    let send_timeout = response::client_timeout(r);
    let waiting = pool.keep(Some(Waiting { request: r.raw(), upgraded, send_timeout, successor, at_end: None }));
    // SAFETY: S1; the hook below alone takes it for what it is.
    unsafe { config::set_of_connection(connection, waiting.cast()) };
}

/// Has something done with a request whose connection [is left](leave), before it ends: on the thread that has it then.
pub fn at_end(r: &Request<'_>, action: AtEnd) {
    // SAFETY: S1; this thread has the request until its handler has returned.
    if let Some(Some(waiting)) = unsafe { place(r.rec().connection) } {
        waiting.at_end = Some(action);
    }
}

/// The hook `suspend_connection`: httpd's thread is about to leave the connection.
///
/// # Safety
/// Called by httpd as this hook.
pub(crate) unsafe fn suspend(connection: *mut conn_rec) {
    // SAFETY: httpd hands over a live connection.
    let state = unsafe { (*connection).cs };
    // SAFETY: its state, or null if the MPM has none.
    let state = unsafe { state.as_ref() };
    // It is called for connections that httpd closes, too (W4).
    if state.is_none_or(|state| state.state != sys::conn_state_e::CONN_STATE_SUSPENDED) {
        return;
    }
    // SAFETY: as above.
    let Some(Waiting { request, upgraded, send_timeout, successor, at_end }) = (unsafe { take_waiting(connection) })
    else {
        return;
    };
    // SAFETY: this thread still has the connection and its request.
    let mut r = unsafe { Request::from_raw(request) };
    // A stop that is not a graceful one closes the sockets that workers have, this one among them.
    let Some(fd) = socket::of_client(&r).map(|socket| socket.as_raw_fd()) else { return };
    // Nothing waits in a filter (W2).
    response::set_client_timeout(&mut r, 0);
    // SAFETY: as above; httpd's thread is not that of the connection any more.
    unsafe { (*connection).current_thread = std::ptr::null_mut() };
    // SAFETY: as above: the pool of the connection.
    let pool = unsafe { (*connection).pool };
    // SAFETY: as above.
    let allocator = unsafe { sys::apr_pool_allocator_get(pool) };
    // SAFETY: the connection is this thread's, and so is the allocator of its pool.
    unsafe { keep_nothing_free(allocator) };
    let open = Some(Open { request, upgraded, at_end });
    let since = Instant::now();
    successor.take_over(SuspendedConnection { connection, open, fd, send_timeout, since });
}

/// Has an allocator give back what is free, now and from now on.
///
/// # Safety
/// The allocator lives, and is this thread's.
unsafe fn keep_nothing_free(allocator: *mut sys::apr_allocator_t) {
    // SAFETY: the caller's duty.
    unsafe { sys::apr_allocator_max_free_set(allocator, 1) };
    // That holds for what is freed from here on. What was free before is taken, and freed.
    let mut taken: *mut sys::apr_memnode_t = std::ptr::null_mut();
    for _ in 0..BLOCKS {
        // SAFETY: the caller's duty. The smallest block is asked for, which every free one can be.
        let block = unsafe { sys::apr_allocator_alloc(allocator, 1) };
        // SAFETY: a block that has just been allocated, or null.
        let Some(found) = (unsafe { block.as_mut() }) else { break };
        found.next = taken;
        taken = block;
    }
    if !taken.is_null() {
        // SAFETY: a list of blocks of this allocator, which nobody else has.
        unsafe { sys::apr_allocator_free(allocator, taken) };
    }
}

/// The place in a connection for what waits there, where it has one.
///
/// # Safety
/// The connection lives, and is this thread's.
unsafe fn place<'c>(connection: *mut conn_rec) -> Option<&'c mut Option<Waiting>> {
    // SAFETY: the caller's duty; the slot is ours, and `leave` has filled it, or nobody.
    let place = unsafe { config::of_connection(connection) }.cast::<Option<Waiting>>();
    // SAFETY: it lives in the connection's pool, and nobody else looks at it.
    unsafe { place.as_mut() }
}

/// What waits in a connection, if that has not been taken.
///
/// # Safety
/// As [`place`].
unsafe fn take_waiting(connection: *mut conn_rec) -> Option<Waiting> {
    // SAFETY: the caller's duty.
    unsafe { place(connection) }?.take()
}

/// Gives up a connection that nobody has taken over, because of a panic: its client sees the end. The connection itself
/// stays with the MPM, which would never end it.
///
/// # Safety
/// As [`suspend`], after it.
pub(crate) unsafe fn give_up(connection: *mut conn_rec) {
    // SAFETY: the caller's duty.
    if let Some(Waiting { request, .. }) = unsafe { take_waiting(connection) } {
        // SAFETY: this thread still has the request.
        let r = unsafe { Request::from_raw(request) };
        // One that is lost already needs nothing.
        let _ = socket::of_client(&r).map(|socket| shutdown(socket, Shutdown::Both));
    }
}

/// A request that was answered 101, and has not ended.
struct Open {
    request: *mut request_rec,
    /// Its connection's bytes.
    upgraded: Upgraded,
    at_end: Option<AtEnd>,
}

/// A connection that is in the hands of one thread of ours.
pub struct SuspendedConnection {
    connection: *mut conn_rec,
    /// `None` when the request has ended.
    open: Option<Open>,
    fd: RawFd,
    send_timeout: Option<Duration>,
    since: Instant,
}

// SAFETY: W4: from the hook on, no other thread uses the connection, its request or what is in their pools, so that
// they may go to the one that takes it over.
unsafe impl Send for SuspendedConnection {}

impl SuspendedConnection {
    /// The socket of the client.
    pub fn socket(&self) -> BorrowedFd<'_> {
        // SAFETY: it is open until the connection's pool is destroyed, which takes this value.
        unsafe { BorrowedFd::borrow_raw(self.fd) }
    }

    /// How long a write to the client may take, if there is a limit.
    pub fn send_timeout(&self) -> Option<Duration> {
        self.send_timeout
    }

    fn record(&self) -> &conn_rec {
        // SAFETY: W4; it lives until its pool is destroyed.
        unsafe { &*self.connection }
    }

    /// Says whether the memory of buffers is kept from one message to the next, or given back at once. Most of its time
    /// a WebSocket is idle; but to get memory of the system, and to give it back, takes as long as all the rest.
    pub fn keep_buffers(&mut self, keeps: bool) {
        // SAFETY: W4: the pool and its allocator are this thread's.
        let allocator = unsafe { sys::apr_pool_allocator_get(self.record().pool) };
        if keeps {
            // SAFETY: as above.
            unsafe { sys::apr_allocator_max_free_set(allocator, KEPT) };
        } else {
            // SAFETY: as above.
            unsafe { keep_nothing_free(allocator) };
        }
    }

    /// Whether the client is known to be gone.
    pub fn is_aborted(&self) -> bool {
        self.record().aborted != 0
    }

    /// Looks at the request, if it has not ended.
    pub fn look<R>(&self, look: impl FnOnce(&Request<'_>) -> R) -> Option<R> {
        let request = self.open.as_ref()?.request;
        // SAFETY: W4; while this lives it is only looked at, since everything else takes `self` by `&mut`.
        let request = unsafe { Request::from_raw(request) };
        Some(look(&request))
    }

    fn with<R>(&mut self, work: impl FnOnce(&mut Request<'_>, &mut Upgraded) -> R) -> Option<R> {
        let Open { request, upgraded, .. } = self.open.as_mut()?;
        // SAFETY: W4; the only one meanwhile, as this connection is borrowed exclusively.
        let mut request = unsafe { Request::from_raw(*request) };
        Some(work(&mut request, upgraded))
    }

    /// Appends bytes that have come. Returns whether more may have.
    ///
    /// # Errors
    /// [`Gone`]: nothing more comes.
    pub fn receive(&mut self, out: &mut Vec<u8>) -> Result<bool, Gone> {
        self.with(|r, upgraded| upgraded.receive(r, out)).ok_or(Gone)?
    }

    /// Sends the first of these bytes, without waiting. Returns how many were taken.
    ///
    /// # Errors
    /// [`Gone`]
    pub fn send(&mut self, bytes: &[u8]) -> Result<usize, Gone> {
        self.with(|r, upgraded| upgraded.send(r, bytes)).ok_or(Gone)?
    }

    /// Whether something that was passed down has not been written yet.
    pub fn holds(&self) -> bool {
        self.record().data_in_output_filters != 0
    }

    /// Has nothing more written: the client is to see that its connection is lost.
    pub fn break_off(&mut self) {
        // SAFETY: W4.
        unsafe { (*self.connection).aborted = 1 };
    }

    /// Ends the request, which writes its line into the access log, and this side of the connection. `code`: that with
    /// which its WebSocket has ended.
    pub fn end(&mut self, code: u16) {
        // The brigades are the request's.
        let Some(Open { request, at_end, .. }) = self.open.take() else { return };
        // SAFETY: W4; the only one meanwhile.
        let mut r = unsafe { Request::from_raw(request) };
        upgraded::note_close(&mut r, code);
        at_end.into_iter().for_each(|action| action(&mut r));
        // SAFETY: W4; nobody uses it from here on.
        unsafe { sys::ap_process_request_after_handler(request) };
        if !self.is_aborted() && !self.holds() {
            // SAFETY: W4; mod_ssl says that nothing follows, and whatever fails is over.
            unsafe { sys::wsgi_shim_pass_end_of_connection(self.connection) };
        }
        // SAFETY: W4; the MPM counts it by this state, which the end of the request has changed (W7).
        if let Some(state) = unsafe { self.record().cs.as_mut() } {
            state.state = sys::conn_state_e::CONN_STATE_SUSPENDED;
        }
        // A connection that is lost already needs nothing.
        let _ = shutdown(self.socket(), if self.is_aborted() { Shutdown::Both } else { Shutdown::Write });
    }

    /// Drops what still comes when the request has ended. Returns whether more may come.
    pub fn drop_rest(&self) -> bool {
        let mut buffer = [0; 4096];
        match recv(self.socket(), &mut buffer, RecvFlags::DONTWAIT) {
            Ok((length, _)) => length > 0,
            Err(error) => [rustix::io::Errno::AGAIN, rustix::io::Errno::INTR].contains(&error),
        }
    }

    /// The moment from which [`Self::is_settled`] may hold.
    pub fn settles(&self) -> Instant {
        self.since + SETTLED
    }

    /// Whether httpd's thread has left it for good, so that it may be destroyed.
    pub fn is_settled(&self, now: Instant) -> bool {
        // SAFETY: W4; it lives until the pool is destroyed.
        let handle = unsafe { &raw const (*self.connection).sbh };
        // SAFETY: W5: httpd's thread writes it once, when it leaves.
        let handle = unsafe { handle.read_volatile() };
        handle.is_null() && now >= self.settles()
    }

    /// Closes the connection. It has [ended](Self::end), and is [settled](Self::is_settled).
    pub fn destroy(self) {
        let pool = self.record().pool;
        std::mem::forget(self);
        // SAFETY: W4, W5: nobody else has it any more. The MPM's own cleanup counts the connection down.
        unsafe { sys::apr_pool_destroy(pool) };
    }
}

impl Drop for SuspendedConnection {
    /// Has the client see the end, where a panic, or the end of the child, keeps the connection from being closed in
    /// order. What is in its pool may still be used by httpd's thread, and stays.
    fn drop(&mut self) {
        // One that is lost already needs nothing.
        let _ = shutdown(self.socket(), Shutdown::Both);
    }
}
