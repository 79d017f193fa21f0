//! `server_rec`, and what the process knows about itself.

use std::ffi::{CStr, CString, c_int, c_void};
use std::marker::PhantomData;
use std::time::Duration;

use wsgi_wire::record::Level;

use super::pool::Pool;
use super::sys::{self, server_rec};
use super::{bytes, index};

/// The main server or a virtual host.
#[derive(Clone, Copy)]
pub struct Server<'s> {
    raw: *mut server_rec,
    life: PhantomData<&'s ()>,
}

impl<'s> Server<'s> {
    /// # Safety
    /// `raw` is a server of the current configuration, which outlives `'s` (S5).
    pub(crate) unsafe fn from_raw(raw: *mut server_rec) -> Self {
        Self { raw, life: PhantomData }
    }

    pub(super) fn raw(self) -> *mut server_rec {
        self.raw
    }

    pub(super) fn rec(self) -> &'s server_rec {
        // SAFETY: S5; nobody changes it while hooks run, but for directives, whose setters hold no other reference.
        unsafe { &*self.raw }
    }

    /// The main server, once the configuration has been read.
    pub fn main() -> Option<Server<'static>> {
        // SAFETY: S5; httpd sets the pointer while it is single-threaded.
        let raw = unsafe { sys::ap_server_conf };
        // SAFETY: S5.
        (!raw.is_null()).then(|| unsafe { Server::from_raw(raw) })
    }

    /// A number that no other server of this configuration has.
    pub fn id(self) -> usize {
        self.raw as usize
    }

    /// Whether it is a `<VirtualHost>`.
    pub fn is_virtual(self) -> bool {
        self.rec().is_virtual != 0
    }

    /// The `ServerName`, if it is known by now.
    pub fn hostname(self) -> Option<&'s [u8]> {
        // SAFETY: S5, S6.
        unsafe { bytes(self.rec().server_hostname) }
    }

    /// Whether `ErrorLogFormat` says what the lines of the error log look like.
    pub fn has_log_format(self) -> bool {
        // SAFETY: S5: the core's configuration lives as long as the server.
        unsafe { sys::wsgi_shim_has_log_format(self.raw()) != 0 }
    }

    /// The `ServerAdmin` of this server.
    pub fn admin(self) -> Option<&'s [u8]> {
        // SAFETY: S5, S6.
        unsafe { bytes(self.rec().server_admin) }
    }

    /// The `Timeout` of this server.
    pub fn timeout(self) -> Duration {
        Duration::from_micros(u64::try_from(self.rec().timeout).unwrap_or(0))
    }

    /// The level up to which records of this module are written.
    pub fn log_level(self) -> Level {
        // SAFETY: S5.
        level(unsafe { sys::wsgi_shim_server_level(self.raw, index::get()) })
    }

    /// The file of its error log, as APR knows it; null where it has none.
    pub(super) fn error_log_file(self) -> *mut sys::apr_file_t {
        self.rec().error_log
    }

    /// This server and those after it in httpd's list; from the main server: all.
    pub fn all(self) -> impl Iterator<Item = Server<'s>> {
        std::iter::successors(Some(self), |s| {
            let next = s.rec().next;
            // SAFETY: S5.
            (!next.is_null()).then(|| unsafe { Server::from_raw(next) })
        })
    }
}

/// A level by httpd's number.
pub(super) fn level(number: c_int) -> Level {
    let number = u8::try_from(number.clamp(0, Level::Trace as c_int)).ok();
    number.and_then(|n| Level::try_from(n).ok()).unwrap_or(Level::Warn)
}

/// What kind of run of httpd this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run {
    /// `-t` or a dump: nothing may be started.
    ConfigTest,
    /// The first of the two readings of the configuration at start.
    Rehearsal,
    /// The reading that counts.
    Real,
}

/// Asks httpd about its own state (`ap_state_query`).
fn state(query: c_int) -> c_int {
    // SAFETY: a plain query of a global number.
    unsafe { sys::ap_state_query(query) }
}

/// What kind of run this is.
pub fn run() -> Run {
    match (state(sys::AP_SQ_RUN_MODE), state(sys::AP_SQ_MAIN_STATE)) {
        (sys::AP_SQ_RM_CONFIG_TEST | sys::AP_SQ_RM_CONFIG_DUMP, _) => Run::ConfigTest,
        (_, sys::AP_SQ_MS_CREATE_PRE_CONFIG) => Run::Rehearsal,
        _ => Run::Real,
    }
}

/// Asks the MPM one of its queries (`ap_mpm_query`).
fn mpm(query: c_int) -> Option<c_int> {
    let mut value = 0;
    // SAFETY: writes one int.
    (unsafe { sys::ap_mpm_query(query, &raw mut value) } == 0).then_some(value)
}

/// Whether the MPM gives a connection away between two requests, and its thread to others (event).
pub fn is_async() -> bool {
    mpm(sys::AP_MPMQ_IS_ASYNC).is_some_and(|answer| answer > 0)
}

/// Whether httpd is on its way out, rather than restarting.
pub fn is_exiting() -> bool {
    state(sys::AP_SQ_MAIN_STATE) == sys::AP_SQ_MS_EXITING
}

/// How many child processes the MPM may have now, and how many threads each of them.
pub fn capacity() -> (u32, u32) {
    let number = |query| mpm(query).and_then(|n| u32::try_from(n).ok()).unwrap_or(1).max(1);
    (number(sys::AP_MPMQ_MAX_DAEMONS), number(sys::AP_MPMQ_MAX_THREADS))
}

/// How many child processes and threads of each the MPM could ever have without a full restart: the size of the
/// scoreboard.
pub fn limits() -> (u32, u32) {
    let number = |query| mpm(query).and_then(|n| u32::try_from(n).ok()).unwrap_or(1).max(1);
    (number(sys::AP_MPMQ_HARD_LIMIT_DAEMONS), number(sys::AP_MPMQ_HARD_LIMIT_THREADS))
}

/// The name of the MPM, when httpd was built, and the banner with all components.
pub fn description() -> (String, String, String) {
    let text = |get: unsafe extern "C" fn() -> *const std::ffi::c_char| {
        // SAFETY: a plain getter.
        let raw = unsafe { get() };
        // SAFETY: a static string of httpd, or one in pconf that outlives this call.
        unsafe { bytes(raw) }.map(|b| String::from_utf8_lossy(b).into_owned()).unwrap_or_default()
    };
    (text(sys::ap_show_mpm), text(sys::ap_get_server_built), text(sys::ap_get_server_banner))
}

/// Whether another module is loaded, by the name of its source file.
pub fn has_module(source: &CStr) -> bool {
    // SAFETY: the name ends in NUL; httpd only compares it.
    unsafe { !sys::ap_find_linked_module(source.as_ptr()).is_null() }
}

/// Whether the command line or the configuration defines this name (`-D`, `Define`).
pub fn is_defined(name: &CStr) -> bool {
    // SAFETY: the name ends in NUL; httpd only compares it.
    unsafe { sys::ap_exists_config_define(name.as_ptr()) != 0 }
}

/// Adds a component to the server's banner.
pub fn add_component(pool: Pool<'_>, component: &CStr) {
    // SAFETY: httpd copies the text.
    unsafe { sys::ap_add_version_component(pool.raw(), component.as_ptr()) };
}

/// A path made absolute: relative ones start at `DefaultRuntimeDir`.
pub fn runtime_path(pool: Pool<'_>, path: &CStr) -> Option<Vec<u8>> {
    // SAFETY: the pool lives, and the path is a string.
    let path = unsafe { sys::ap_runtime_dir_relative(pool.raw(), path.as_ptr()) };
    // SAFETY: null, or a string in the pool.
    unsafe { bytes(path) }.map(<[u8]>::to_vec)
}

/// A path made absolute: relative ones start at `ServerRoot`.
pub fn server_root_path(pool: Pool<'_>, path: &[u8]) -> Option<Vec<u8>> {
    let path = CString::new(path).ok()?;
    // SAFETY: the pool lives, and the path is a string.
    let path = unsafe { sys::ap_server_root_relative(pool.raw(), path.as_ptr()) };
    // SAFETY: null, or a string in the pool.
    unsafe { bytes(path) }.map(<[u8]>::to_vec)
}

/// Version of the httpd that has loaded this module, which may be another one than it was built for: the ABI of all 2.4
/// is one.
pub fn version() -> (u32, (u32, u32)) {
    let mut revision = std::mem::MaybeUninit::<sys::ap_version_t>::zeroed();
    // SAFETY: there is room for the record.
    unsafe { sys::ap_get_server_revision(revision.as_mut_ptr()) };
    // SAFETY: httpd has filled in all of it.
    let revision = unsafe { revision.assume_init() };
    let number = |n: c_int| u32::try_from(n).unwrap_or(0);
    (number(revision.major), (number(revision.minor), number(revision.patch)))
}

/// Version of the httpd whose headers this module was built with, and their module magic number.
pub fn built_for() -> ((u32, u32, u32), String) {
    let number = |n: c_int| u32::try_from(n).unwrap_or(0);
    let version = (
        number(sys::AP_SERVER_MAJORVERSION_NUMBER),
        number(sys::AP_SERVER_MINORVERSION_NUMBER),
        number(sys::AP_SERVER_PATCHLEVEL_NUMBER),
    );
    (version, format!("{}:{}", sys::MODULE_MAGIC_NUMBER_MAJOR, sys::MODULE_MAGIC_NUMBER_MINOR))
}

/// Memory of the process that survives the reloading of the module at a restart, all zero when it is new. Only plain
/// data may be kept in it.
pub(super) fn retained<T: Copy>(key: &'static CStr) -> *mut T {
    // SAFETY: the key is a string. httpd keeps the memory until the process ends.
    let kept: *mut c_void = unsafe { sys::ap_retained_data_get(key.as_ptr()) };
    if kept.is_null() {
        // SAFETY: the key is a string that lives for ever; the memory is made zeroed, with this size, when it is asked
        // for the first time.
        unsafe { sys::ap_retained_data_create(key.as_ptr(), size_of::<T>()) }.cast::<T>()
    } else {
        kept.cast::<T>()
    }
}
