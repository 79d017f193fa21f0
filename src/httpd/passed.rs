//! Passed files as buckets of a response. APR's own file bucket does not fit, because the file belongs to an
//! application: APR maps it (a file that is shortened then ends this process), it moves the position that the
//! application shares with us, it takes an early end for the end, and keeps the descriptor until the request is over.

use std::ffi::{CStr, c_char, c_void};
use std::os::fd::OwnedFd;
use std::ptr;

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use wsgi_unix::kept_memory::Kept;
use wsgi_wire::messages::requests;

use super::guard::{self, AprStatus};
use super::log;
use super::request::Request;
use super::server::Server;
use super::sys::{self, apr_bucket, apr_bucket_type_t, apr_read_type_e, apr_size_t, apr_status_t};
use crate::relay::passed::{self, Sendable};

/// How much of a file is read at once, bytes: as much as Apache gathers for one write (FlushMaxThreshold).
const STEP: usize = 64 << 10;

/// The value of a count of references before APR sets it.
const NONE: sys::apr_bucket_refcount = sys::apr_bucket_refcount { refcount: 0 };

/// A file that is read piece by piece when its bytes are wanted, by all buckets that were split off the first one.
#[repr(C)]
struct Passed {
    /// The count of references. Must be the first field: `apr_bucket_shared_*` count in it.
    references: sys::apr_bucket_refcount,
    file: OwnedFd,
    /// Where a failure is logged. A request may be over before its last bucket is sent, so only what outlives it is
    /// kept.
    server: *mut sys::server_rec,
    what: Vec<u8>,
    failed: bool,
}

impl Passed {
    /// Says once that the file cannot be read.
    fn tell(&mut self, why: &str) {
        if std::mem::replace(&mut self.failed, true) {
            return;
        }
        let what = String::from_utf8_lossy(&self.what);
        // SAFETY: S5.
        let server = unsafe { Server::from_raw(self.server) };
        log::server(
            server,
            &requests::FILE_CUT_OFF,
            format_args!("the response to {what} cannot be sent to its end: {why}"),
        );
    }
}

/// A sealed file in memory, as long as one of the buckets that were split off the first one is there.
#[repr(C)]
struct Mapped {
    /// The count of references, as in [`Passed`].
    references: sys::apr_bucket_refcount,
    start: *mut c_void,
    size: usize,
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: mapped by `mapped`, and no bucket has it any more. That fails for no mapping of ours.
        let _ = unsafe { munmap(self.start, self.size) };
    }
}

/// What was read of a file. It is no memory of APR's, which gives that back to the kernel at once where `MaxMemFree` is
/// small.
#[repr(C)]
struct Piece {
    /// The count of references, as in [`Passed`].
    references: sys::apr_bucket_refcount,
    bytes: Kept,
}

/// What is in memory as long as a bucket has it, at the same place.
trait InMemory {
    fn start(&self) -> *const c_void;
}

impl InMemory for Mapped {
    fn start(&self) -> *const c_void {
        self.start
    }
}

impl InMemory for Piece {
    fn start(&self) -> *const c_void {
        self.bytes.as_ptr().cast()
    }
}

/// A structure that C code reads and nobody writes.
struct Constant<T>(T);

// SAFETY: it holds functions and a static name.
unsafe impl Sync for Constant<apr_bucket_type_t> {}

/// A kind of bucket whose data are shared by all that are split off the first one, and stay where they are while a
/// filter keeps it.
const fn shared_type(name: &'static CStr, read: Read, destroy: Destroy) -> Constant<apr_bucket_type_t> {
    Constant(apr_bucket_type_t {
        name: name.as_ptr(),
        num_func: 5,
        is_metadata: sys::apr_bucket_type_t__bindgen_ty_1::APR_BUCKET_DATA,
        destroy: Some(destroy),
        read: Some(read),
        setaside: Some(sys::apr_bucket_setaside_noop),
        split: Some(sys::apr_bucket_shared_split),
        copy: Some(sys::apr_bucket_shared_copy),
    })
}

type Read =
    unsafe extern "C" fn(*mut apr_bucket, *mut *const c_char, *mut apr_size_t, apr_read_type_e::Type) -> apr_status_t;
type Destroy = unsafe extern "C" fn(*mut c_void);

static PASSED: Constant<apr_bucket_type_t> = shared_type(c"WSGI FILE", read, destroy::<Passed>);
static MAPPED: Constant<apr_bucket_type_t> = shared_type(c"WSGI MAPPED FILE", look::<Mapped>, destroy::<Mapped>);
static PIECE: Constant<apr_bucket_type_t> = shared_type(c"WSGI PIECE", look::<Piece>, destroy::<Piece>);

/// A bucket with a piece of a file. What it reads is what the file has when it is read; if that is not all, the
/// response is cut off.
pub(super) fn bucket(r: &Request<'_>, file: OwnedFd, piece: Sendable) -> *mut apr_bucket {
    let (server, what) = (r.server().raw(), r.uri().to_vec());
    let passed = Passed { references: NONE, file, server, what, failed: false };
    make(r, passed, &PASSED, piece.offset as apr_size_t, piece.length as apr_size_t)
}

/// A bucket with a piece of a file that nobody can change any more: it is mapped, and needs no descriptor. `None` if
/// the system does not map it.
pub(super) fn mapped(r: &Request<'_>, file: &OwnedFd, piece: Sendable) -> Option<*mut apr_bucket> {
    debug_assert!(piece.sealed);
    let (offset, length) = (u64::try_from(piece.offset).ok()?, usize::try_from(piece.length).ok()?);
    let into_page = offset % rustix::param::page_size() as u64;
    let size = length.checked_add(into_page as usize)?;
    // SAFETY: a mapping at a place of the kernel's choice touches no other memory. The file is sealed: it keeps its
    // length and its bytes.
    let start =
        unsafe { mmap(ptr::null_mut(), size, ProtFlags::READ, MapFlags::PRIVATE, file, offset - into_page) }.ok()?;
    let mapped = Mapped { references: NONE, start, size };
    Some(make(r, mapped, &MAPPED, into_page as usize, length))
}

fn make<T>(
    r: &Request<'_>,
    shared: T,
    kind: &'static Constant<apr_bucket_type_t>,
    start: apr_size_t,
    length: apr_size_t,
) -> *mut apr_bucket {
    // SAFETY: S1: the allocator is the connection's. It gives memory for a bucket, or ends the process as APR's pools
    // do.
    let bucket = unsafe { sys::wsgi_shim_new_bucket(r.bucket_allocator()) };
    // SAFETY: nobody else has the bucket yet.
    unsafe { fill(bucket, shared, kind, start, length) };
    bucket
}

/// Makes a bucket one of this kind. What it was before it no longer owns.
///
/// # Safety
/// The bucket is its thread's alone; the kind is the one for `T`.
unsafe fn fill<T>(
    bucket: *mut apr_bucket,
    shared: T,
    kind: &'static Constant<apr_bucket_type_t>,
    start: apr_size_t,
    length: apr_size_t,
) {
    let shared = Box::into_raw(Box::new(shared)).cast::<c_void>();
    // SAFETY: the bucket is made as APR's own kinds are; it owns `shared` together with those that are split off it,
    // and `destroy` ends it.
    unsafe { sys::apr_bucket_shared_make(bucket, shared, start as sys::apr_off_t, length) };
    // SAFETY: the type is a constant, and the one that `shared` is made for.
    unsafe { (*bucket).type_ = &raw const kind.0 };
}

unsafe extern "C" fn destroy<T>(shared: *mut c_void) {
    guard::enter("the end of a passed file", || {
        // SAFETY: `fill` has made it, with the count of its references at its beginning.
        let is_last = unsafe { sys::apr_bucket_shared_destroy(shared) } != 0;
        if is_last {
            // SAFETY: `fill` has boxed a T, whose last reference is gone.
            drop(unsafe { Box::from_raw(shared.cast::<T>()) });
        }
    });
}

/// The `read` function of buckets whose content is in memory.
unsafe extern "C" fn look<T: InMemory>(
    bucket: *mut apr_bucket,
    data: *mut *const c_char,
    length: *mut apr_size_t,
    _block: apr_read_type_e::Type,
) -> apr_status_t {
    // SAFETY: APR calls this for a bucket that only its thread has. Nothing here panics.
    let bucket = unsafe { &*bucket };
    // SAFETY: the bucket is of this type: `fill` has boxed the data.
    let shared = unsafe { &*bucket.data.cast::<T>() };
    // SAFETY: a place for the address; that lies within the memory, as the bucket does.
    unsafe { data.write(shared.start().wrapping_byte_add(bucket.start as usize).cast()) };
    // SAFETY: a place for the length.
    unsafe { length.write(bucket.length) };
    0
}

unsafe extern "C" fn read(
    bucket: *mut apr_bucket,
    data: *mut *const c_char,
    length: *mut apr_size_t,
    _block: apr_read_type_e::Type,
) -> apr_status_t {
    let give = |bytes: *const c_char, count: apr_size_t| {
        // SAFETY: a place for an address, says APR.
        unsafe { data.write(bytes) };
        // SAFETY: a place for a length, says APR.
        unsafe { length.write(count) };
    };
    // Filters that do not look at the status find no bytes then.
    give(c"".as_ptr(), 0);
    let read = || {
        // SAFETY: APR calls this for a bucket that only its thread has; the reference ends before the bucket is
        // changed.
        let (shared, begin, whole) = unsafe { bucket.as_ref() }.map(parts)?;
        let mut bytes = Kept::to_be_filled(whole.min(STEP));
        // SAFETY: the bucket is of this type: `fill` has boxed the data, which only the thread of the connection uses.
        let passed = unsafe { &mut *shared.cast::<Passed>() };
        if let Err(why) = passed::read(&passed.file, u64::try_from(begin).unwrap_or(u64::MAX), &mut bytes) {
            passed.tell(&why.to_string());
            return None;
        }
        let (start, wanted) = (bytes.as_ptr(), bytes.len());
        if wanted < whole {
            // SAFETY: the bucket has more bytes than that.
            unsafe { sys::apr_bucket_shared_split(bucket, wanted) };
        }
        // SAFETY: this bucket's reference; the next call gives it other data.
        unsafe { destroy::<Passed>(shared) };
        // SAFETY: only this thread has the bucket. The bytes stay where they are when their owner is moved.
        unsafe { fill(bucket, Piece { references: NONE, bytes }, &PIECE, 0, wanted) };
        give(start.cast(), wanted);
        Some(())
    };
    let read = || AprStatus(read().map_or(sys::APR_EGENERAL, |()| 0));
    let status = guard::enter("a read of a passed file", read).0;
    if status != 0 {
        // SAFETY: the bucket is in a brigade, or APR would not read it.
        unsafe { cut_off(bucket) };
    }
    status
}

/// The data of a bucket, and where its piece begins and how long it is.
fn parts(bucket: &apr_bucket) -> (*mut c_void, sys::apr_off_t, apr_size_t) {
    (bucket.data, bucket.start, bucket.length)
}

/// Puts an error behind a bucket that cannot be read: a filter that ignores the status of a read passes that on, and
/// whoever ends the response then does not end it as if it were whole.
///
/// # Safety
/// The bucket is one of a brigade.
unsafe fn cut_off(bucket: *mut apr_bucket) {
    // SAFETY: the caller's duty.
    let allocator = unsafe { (*bucket).list };
    // SAFETY: without a message of its own an error bucket takes nothing from a pool.
    let error = unsafe { sys::ap_bucket_error_create(sys::HTTP_BAD_GATEWAY, ptr::null(), ptr::null_mut(), allocator) };
    // SAFETY: a new bucket, behind one of a brigade, says the caller.
    unsafe { sys::wsgi_shim_insert_after(bucket, error) };
}
