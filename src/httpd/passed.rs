//! Passed files as buckets of a response. APR's own file bucket does not fit, because the file belongs to an application: APR maps it (a file that is
//! shortened then ends this process), it moves the position that the application shares with us, it takes an early end for the end, and keeps the
//! descriptor until the request is over.

use std::ffi::{CStr, c_char, c_void};
use std::os::fd::OwnedFd;
use std::ptr;

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use wsgi_wire::record::Level;

use super::guard::{self, AprStatus};
use super::log;
use super::request::Request;
use super::server::Server;
use super::sys::{self, apr_bucket, apr_bucket_type_t, apr_read_type_e, apr_size_t, apr_status_t};
use crate::relay::passed::{self, Sendable};

/// How much of a file is read at once, bytes: as much as Apache gathers for one write (FlushMaxThreshold).
const PIECE: usize = 64 << 10;

/// A file that is read piece by piece when its bytes are wanted, by all buckets that were split off the first one.
#[repr(C)]
struct Passed {
    /// Must be the first: `apr_bucket_shared_*` count in it.
    references: sys::apr_bucket_refcount,
    file: OwnedFd,
    /// Where a failure is logged. A request may be over before its last bucket is sent, so only what outlives it is kept.
    server: *mut sys::server_rec,
    what: Vec<u8>,
    failed: bool,
}

/// A sealed file in memory, as long as one of the buckets that were split off the first one is there.
#[repr(C)]
struct Mapped {
    /// As in [`Passed`].
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

/// A structure that C code reads and nobody writes.
struct Constant<T>(T);

// SAFETY: it holds functions and a static name.
unsafe impl Sync for Constant<apr_bucket_type_t> {}

/// A kind of bucket whose data are shared by all that are split off the first one, and stay where they are while a filter keeps it.
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
static MAPPED: Constant<apr_bucket_type_t> = shared_type(c"WSGI MEMORY", look, destroy::<Mapped>);

/// A bucket with a piece of a file. What it reads is what the file has when it is read; if that is not all, the response is cut off.
pub(super) fn bucket(r: &Request<'_>, file: OwnedFd, piece: Sendable) -> *mut apr_bucket {
    let references = sys::apr_bucket_refcount { refcount: 0 };
    let (server, what) = (r.server().raw(), r.uri().to_vec());
    let passed = Passed { references, file, server, what, failed: false };
    make(r, passed, &PASSED, piece.offset as apr_size_t, piece.length as apr_size_t)
}

/// A bucket with a piece of a file that nobody can change any more: it is mapped, and needs no descriptor. `None` if the system does not map it.
pub(super) fn mapped(r: &Request<'_>, file: &OwnedFd, piece: Sendable) -> Option<*mut apr_bucket> {
    debug_assert!(piece.sealed);
    let (offset, length) = (u64::try_from(piece.offset).ok()?, usize::try_from(piece.length).ok()?);
    let into_page = offset % rustix::param::page_size() as u64;
    let size = length.checked_add(into_page as usize)?;
    // SAFETY: a mapping at a place of the kernel's choice touches no other memory. The file is sealed: it keeps its length and its bytes.
    let start =
        unsafe { mmap(ptr::null_mut(), size, ProtFlags::READ, MapFlags::PRIVATE, file, offset - into_page) }.ok()?;
    let mapped = Mapped { references: sys::apr_bucket_refcount { refcount: 0 }, start, size };
    Some(make(r, mapped, &MAPPED, into_page as usize, length))
}

fn make<T>(
    r: &Request<'_>,
    shared: T,
    kind: &'static Constant<apr_bucket_type_t>,
    start: apr_size_t,
    length: apr_size_t,
) -> *mut apr_bucket {
    let shared = Box::into_raw(Box::new(shared)).cast::<c_void>();
    // SAFETY: S1. The bucket is made as APR's own kinds are; it owns `shared` together with those that are split off it, and `destroy` ends it.
    unsafe {
        let bucket = sys::wsgi_shim_new_bucket((*r.rec().connection).bucket_alloc);
        sys::apr_bucket_shared_make(bucket, shared, start as sys::apr_off_t, length);
        (*bucket).type_ = &raw const kind.0;
        bucket
    }
}

unsafe extern "C" fn destroy<T>(shared: *mut c_void) {
    guard::enter("the end of a passed file", || {
        // SAFETY: made by `make` of a T; APR says when the last reference is gone.
        unsafe {
            if sys::apr_bucket_shared_destroy(shared) != 0 {
                drop(Box::from_raw(shared.cast::<T>()));
            }
        }
    });
}

/// The read of a mapped file.
unsafe extern "C" fn look(
    bucket: *mut apr_bucket,
    data: *mut *const c_char,
    length: *mut apr_size_t,
    _block: apr_read_type_e::Type,
) -> apr_status_t {
    // SAFETY: APR calls this for a bucket of this type, with valid places for the results; the bucket lies within its mapping. Nothing here panics.
    unsafe {
        let shared = (*bucket).data.cast::<Mapped>();
        *data = (*shared).start.byte_add((*bucket).start as usize).cast();
        *length = (*bucket).length;
    }
    0
}

unsafe extern "C" fn read(
    bucket: *mut apr_bucket,
    data: *mut *const c_char,
    length: *mut apr_size_t,
    _block: apr_read_type_e::Type,
) -> apr_status_t {
    let read = || {
        // SAFETY: APR calls this for a bucket of this type, which only its thread has, with valid places for the results.
        unsafe {
            // Filters that do not look at the status find no bytes then.
            (*data, *length) = (c"".as_ptr(), 0);
            let shared = (*bucket).data.cast::<Passed>();
            let wanted = (*bucket).length.min(PIECE);
            let buffer = sys::apr_bucket_alloc(wanted.max(1), (*bucket).list).cast::<u8>();
            if buffer.is_null() {
                return AprStatus(sys::APR_ENOMEM);
            }
            buffer.write_bytes(0, wanted);
            let start = u64::try_from((*bucket).start).unwrap_or(u64::MAX);
            if let Err(why) = passed::read(&(*shared).file, start, std::slice::from_raw_parts_mut(buffer, wanted)) {
                sys::apr_bucket_free(buffer.cast());
                fail(bucket, &mut *shared, &why.to_string());
                return AprStatus(sys::APR_EGENERAL);
            }
            if wanted < (*bucket).length {
                sys::apr_bucket_shared_split(bucket, wanted);
            }
            destroy::<Passed>(shared.cast());
            sys::apr_bucket_heap_make(bucket, buffer.cast(), wanted, Some(sys::apr_bucket_free));
            (*data, *length) = (buffer.cast(), wanted);
            AprStatus(0)
        }
    };
    guard::enter("a read of a passed file", read).0
}

/// Says once that a file cannot be read, and puts an error behind its bucket: a filter that ignores the status of a read passes that on, and
/// whoever ends the response then does not end it as if it were whole.
///
/// # Safety
/// The bucket is one of a brigade, and `shared` is its file.
unsafe fn fail(bucket: *mut apr_bucket, shared: &mut Passed, why: &str) {
    if std::mem::replace(&mut shared.failed, true) {
        return;
    }
    let what = String::from_utf8_lossy(&shared.what);
    // SAFETY: S5.
    let server = unsafe { Server::from_raw(shared.server) };
    log::server(server, Level::Error, format_args!("the response to {what} cannot be sent to its end: {why}"));
    // SAFETY: without a message of its own an error bucket takes nothing from a pool.
    unsafe {
        let error = sys::ap_bucket_error_create(sys::HTTP_BAD_GATEWAY, ptr::null(), ptr::null_mut(), (*bucket).list);
        sys::wsgi_shim_insert_after(bucket, error);
    }
}
