//! Passed files as buckets of a response. APR's own file bucket does not fit, because the file belongs to an application: APR maps it (a file that is
//! shortened then ends this process), it moves the position that the application shares with us, and it takes an early end for the end.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::os::fd::OwnedFd;

use wsgi_wire::record::Level;

use super::request::Request;
use super::sys::{self, apr_bucket, apr_bucket_type_t, apr_read_type_e, apr_size_t, apr_status_t};
use super::{guard, module};
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

/// A structure that C code reads and nobody writes.
struct Constant<T>(T);

// SAFETY: it holds functions and a static name.
unsafe impl Sync for Constant<apr_bucket_type_t> {}

static TYPE: Constant<apr_bucket_type_t> = Constant(apr_bucket_type_t {
    name: c"WSGI FILE".as_ptr(),
    num_func: 5,
    is_metadata: sys::apr_bucket_type_t__bindgen_ty_1::APR_BUCKET_DATA,
    destroy: Some(destroy),
    read: Some(read),
    setaside: Some(sys::apr_bucket_setaside_noop),
    split: Some(sys::apr_bucket_shared_split),
    copy: Some(sys::apr_bucket_shared_copy),
});

/// A bucket with a piece of a file. What it reads is what the file has when it is read; if that is not all, the response is cut off.
pub(super) fn bucket(r: &Request<'_>, file: OwnedFd, piece: Sendable) -> *mut apr_bucket {
    let shared = Box::new(Passed {
        references: sys::apr_bucket_refcount { refcount: 0 },
        file,
        server: r.server().raw(),
        what: r.uri().to_vec(),
        failed: false,
    });
    let shared = Box::into_raw(shared).cast::<c_void>();
    // SAFETY: S1. The bucket is made as APR's own kinds are; it owns `shared` together with those that are split off it, and `destroy` ends it.
    unsafe {
        let bucket = sys::wsgi_shim_new_bucket((*r.rec().connection).bucket_alloc);
        sys::apr_bucket_shared_make(bucket, shared, piece.offset, piece.length as apr_size_t);
        (*bucket).type_ = &raw const TYPE.0;
        bucket
    }
}

unsafe extern "C" fn destroy(shared: *mut c_void) {
    guard::enter("the end of a passed file", || {
        // SAFETY: made by `bucket`; APR says when the last reference is gone.
        unsafe {
            if sys::apr_bucket_shared_destroy(shared) != 0 {
                drop(Box::from_raw(shared.cast::<Passed>()));
            }
        }
    });
}

unsafe extern "C" fn read(
    bucket: *mut apr_bucket,
    data: *mut *const c_char,
    length: *mut apr_size_t,
    _block: apr_read_type_e::Type,
) -> apr_status_t {
    guard::enter("a read of a passed file", || {
        // SAFETY: APR calls this for a bucket of this type, which only its thread has, with valid places for the results.
        unsafe {
            // Filters that do not look at the status find no bytes then.
            (*data, *length) = (c"".as_ptr(), 0);
            let shared = (*bucket).data.cast::<Passed>();
            let wanted = (*bucket).length.min(PIECE);
            let buffer = sys::apr_bucket_alloc(wanted.max(1), (*bucket).list).cast::<u8>();
            if buffer.is_null() {
                return sys::APR_ENOMEM;
            }
            buffer.write_bytes(0, wanted);
            let start = u64::try_from((*bucket).start).unwrap_or(u64::MAX);
            if let Err(why) = passed::read(&(*shared).file, start, std::slice::from_raw_parts_mut(buffer, wanted)) {
                sys::apr_bucket_free(buffer.cast());
                fail(bucket, &mut *shared, &why.to_string());
                return sys::APR_EGENERAL;
            }
            if wanted < (*bucket).length {
                sys::apr_bucket_shared_split(bucket, wanted);
            }
            destroy(shared.cast());
            sys::apr_bucket_heap_make(bucket, buffer.cast(), wanted, Some(sys::apr_bucket_free));
            (*data, *length) = (buffer.cast(), wanted);
            0
        }
    })
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
    let mut text = format!("the response to {what} cannot be sent to its end: {why}").into_bytes();
    text.retain(|byte| *byte != 0);
    text.push(0);
    let Ok(text) = CStr::from_bytes_with_nul(&text) else { return };
    // SAFETY: S5; the text is no format. Without a message of its own an error bucket takes nothing from a pool.
    unsafe {
        sys::wsgi_shim_log_server(module::index(), Level::Error as c_int, shared.server, text.as_ptr());
        let error =
            sys::ap_bucket_error_create(sys::HTTP_BAD_GATEWAY, std::ptr::null(), std::ptr::null_mut(), (*bucket).list);
        sys::wsgi_shim_insert_after(bucket, error);
    }
}
