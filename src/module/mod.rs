//! The way in: the module record, and the functions that httpd calls.
//!
//! Knows httpd's raw records and every room below. Makes safe values of what httpd hands over and passes them on at
//! once; must not know what a directive or a hook means.
#![deny(clippy::multiple_unsafe_ops_per_block)]

mod auth;
mod commands;
mod settings;

use std::cell::UnsafeCell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use wsgi_unix::panics;
use wsgi_wire::messages::internal;

use crate::directives::settings::{RequestSettings, ServerSettings};
use crate::httpd::guard::{self, HookCode};
use crate::httpd::pool::{BeforeEnd, Pool};
use crate::httpd::request::Request;
use crate::httpd::server::{self, Server};
use crate::httpd::sys::{self, apr_pool_t, module, request_rec, server_rec};
use crate::httpd::{HookStatus, config, index, json_log, log};
#[cfg(unix)]
use crate::httpd::{listeners, suspended};
#[cfg(unix)]
use crate::pump;
use crate::{lifecycle, request};

/// The module record. It is in a cell because httpd writes `module_index` and `next` while it loads the module.
#[repr(transparent)]
pub struct ModuleRecord(UnsafeCell<module>);

// SAFETY: S2.
unsafe impl Sync for ModuleRecord {}

/// The cookie by which httpd knows a module record: "AP24".
const MAGIC: std::ffi::c_ulong = 0x4150_3234;

impl ModuleRecord {
    const fn new(file: &'static CStr) -> Self {
        Self(UnsafeCell::new(module {
            version: sys::MODULE_MAGIC_NUMBER_MAJOR,
            minor_version: sys::MODULE_MAGIC_NUMBER_MINOR,
            module_index: -1,
            name: file.as_ptr(),
            dynamic_load_handle: ptr::null_mut(),
            next: ptr::null_mut(),
            magic: MAGIC,
            rewrite_args: None,
            create_dir_config: Some(config::create_directory::<RequestSettings>),
            merge_dir_config: Some(config::merge_directory::<RequestSettings>),
            create_server_config: Some(config::create_server::<ServerSettings>),
            merge_server_config: Some(config::merge_server::<ServerSettings>),
            cmds: commands::table(),
            register_hooks: Some(register_hooks),
            flags: 0,
        }))
    }
}

/// The only name that this library exports: `LoadModule wsgi_module` looks for it. The file name is what `<IfModule
/// mod_wsgi.c>` asks for.
#[allow(non_upper_case_globals, reason = "httpd finds the module by this name")]
#[unsafe(no_mangle)]
pub static wsgi_module: ModuleRecord = ModuleRecord::new(c"mod_wsgi.c");

/// Whether all hooks are registered.
static REGISTERED: AtomicBool = AtomicBool::new(false);

unsafe extern "C" fn register_hooks(pool: *mut apr_pool_t) {
    // SAFETY: S2; httpd has assigned the index by now.
    index::set(unsafe { (*wsgi_module.0.get()).module_index });
    // First, and whatever becomes of the others: it refuses a configuration without them, which would send scripts as
    // files and ask nobody for a password.
    // SAFETY: called by httpd while it collects hooks.
    unsafe { sys::ap_hook_check_config(Some(check_config), ptr::null(), ptr::null(), MIDDLE) };
    panics::install(|text| log::main(&internal::PANIC, format_args!("{text}")));
    guard::enter("register_hooks", || {
        log::install(settings::log_format);
        // SAFETY: httpd hands over the pool of the configuration.
        auth::register(unsafe { Pool::from_raw(pool) });
        // Explicit arrays: httpd keeps the pointers until it has sorted the hooks.
        static AFTER_ALIAS: List<2> = List([c"mod_alias.c".as_ptr(), ptr::null()]);
        static BEFORE_OTHERS: List<3> = List([c"mod_userdir.c".as_ptr(), c"mod_vhost_alias.c".as_ptr(), ptr::null()]);
        #[expect(clippy::multiple_unsafe_ops_per_block, reason = "they are all the same")]
        // SAFETY: called by httpd while it collects hooks; functions and arrays are static.
        unsafe {
            sys::ap_hook_pre_config(Some(pre_config), ptr::null(), ptr::null(), MIDDLE);
            sys::ap_hook_post_config(Some(post_config), ptr::null(), ptr::null(), MIDDLE);
            sys::ap_hook_child_init(Some(child_forked), ptr::null(), ptr::null(), sys::APR_HOOK_REALLY_FIRST);
            sys::ap_hook_child_init(Some(child_init), ptr::null(), ptr::null(), MIDDLE);
            sys::ap_hook_child_status(Some(child_status), ptr::null(), ptr::null(), MIDDLE);
            if let Some(add) = child_stopping_hook() {
                add(Some(child_stopping), ptr::null(), ptr::null(), MIDDLE);
            }
            sys::ap_hook_translate_name(Some(translate_name), AFTER_ALIAS.0.as_ptr(), BEFORE_OTHERS.0.as_ptr(), MIDDLE);
            sys::ap_hook_access_checker(Some(access_checker), ptr::null(), ptr::null(), MIDDLE);
            sys::ap_hook_fixups(Some(fixups), ptr::null(), ptr::null(), sys::APR_HOOK_REALLY_LAST);
            sys::ap_hook_handler(Some(handler), ptr::null(), ptr::null(), MIDDLE);
            #[cfg(unix)]
            sys::ap_hook_suspend_connection(Some(suspend_connection), ptr::null(), ptr::null(), MIDDLE);
            // At the first of the two readings of the configuration nobody knows yet; there is no connection then.
            #[cfg(unix)]
            if listeners::has_unix() {
                sys::ap_hook_pre_connection(Some(pre_connection), ptr::null(), ptr::null(), sys::APR_HOOK_REALLY_FIRST);
            }
            sys::ap_hook_log_transaction(Some(linger), ptr::null(), ptr::null(), sys::APR_HOOK_REALLY_LAST);
            // mod_status calls it, if that is loaded. The type is erased by the registry, as by the macro
            // APR_OPTIONAL_HOOK.
            type StatusHook = unsafe extern "C" fn(*mut request_rec, c_int) -> c_int;
            let status = std::mem::transmute::<StatusHook, unsafe extern "C" fn()>(status);
            sys::apr_optional_hook_add(c"status_hook".as_ptr(), Some(status), ptr::null(), ptr::null(), MIDDLE);
        }
        REGISTERED.store(true, Ordering::Relaxed);
    });
}

const MIDDLE: c_int = sys::APR_HOOK_MIDDLE;

/// Names of modules, ended by null.
struct List<const N: usize>([*const c_char; N]);

// SAFETY: never written; the pointers in it point to literals.
unsafe impl<const N: usize> Sync for List<N> {}

unsafe extern "C" fn pre_config(pconf: *mut apr_pool_t, _plog: *mut apr_pool_t, _ptemp: *mut apr_pool_t) -> c_int {
    let hook = || {
        // SAFETY: httpd hands over the pool of the configuration.
        json_log::register(unsafe { Pool::from_raw(pconf) });
        lifecycle::before_configuration();
        HookCode(sys::OK)
    };
    guard::enter("pre_config", hook).0
}

unsafe extern "C" fn check_config(
    _pconf: *mut apr_pool_t,
    _plog: *mut apr_pool_t,
    ptemp: *mut apr_pool_t,
    server: *mut server_rec,
) -> c_int {
    let hook = || {
        assert!(REGISTERED.load(Ordering::Relaxed), "the hooks of this module are not registered");
        // SAFETY: httpd hands over a temporary pool.
        let ptemp = unsafe { Pool::from_raw(ptemp) };
        // SAFETY: httpd hands over the main server.
        let server = unsafe { Server::from_raw(server) };
        HookCode(lifecycle::check_config(ptemp, server).code())
    };
    guard::enter("check_config", hook).0
}

unsafe extern "C" fn post_config(
    pconf: *mut apr_pool_t,
    plog: *mut apr_pool_t,
    ptemp: *mut apr_pool_t,
    server: *mut server_rec,
) -> c_int {
    let hook = || {
        // SAFETY: httpd hands over the pool of the configuration.
        let pconf = unsafe { Pool::from_raw(pconf) };
        // SAFETY: that of the logs.
        let plog = unsafe { Pool::from_raw(plog) };
        // SAFETY: a temporary one.
        let ptemp = unsafe { Pool::from_raw(ptemp) };
        // SAFETY: the main server.
        let server = unsafe { Server::from_raw(server) };
        // The program that the main server's log is piped to belongs to another pool than `plog`, of the same parent,
        // and ends before that.
        let logs = BeforeEnd::register(plog.parent(), lifecycle::logs_end);
        *LOGS.lock().unwrap_or_else(PoisonError::into_inner) = Some(logs);
        pconf.at_end(configuration_ends);
        HookCode(lifecycle::post_config(pconf, ptemp, server).code())
    };
    guard::enter("post_config", hook).0
}

/// The action that runs before httpd closes its logs.
static LOGS: Mutex<Option<BeforeEnd>> = Mutex::new(None);

fn configuration_ends() {
    // At a restart the module is unloaded after this, and the logs are closed later.
    if let Some(logs) = LOGS.lock().unwrap_or_else(PoisonError::into_inner).take().filter(|_| !server::is_exiting()) {
        // SAFETY: httpd's pool of the logs lives as long as the process, unless that is about to exit.
        unsafe { logs.forget() };
    }
    lifecycle::configuration_ends();
}

/// Runs as `child_init` before that of any other module, which may start threads there.
unsafe extern "C" fn child_forked(_pool: *mut apr_pool_t, _server: *mut server_rec) {
    guard::enter("child_init", lifecycle::child_forked);
}

unsafe extern "C" fn child_init(pool: *mut apr_pool_t, _server: *mut server_rec) {
    guard::enter("child_init", || {
        // SAFETY: httpd hands over the pool of the child, which is cleared when it ends.
        let pool = unsafe { Pool::from_raw(pool) };
        // Before the pools in it and what other modules keep there, which threads of ours may be using.
        BeforeEnd::register(pool, child_ends);
        lifecycle::child_init();
    });
}

/// The pump first: what it has is counted with what the child has in hand.
fn child_ends() {
    #[cfg(unix)]
    pump::stop();
    lifecycle::child_ends();
}

/// `pre_connection`: somebody has connected.
#[cfg(unix)]
unsafe extern "C" fn pre_connection(connection: *mut sys::conn_rec, _socket: *mut c_void) -> c_int {
    let hook = || {
        // SAFETY: called by httpd as this hook.
        unsafe { listeners::name_client(connection) };
        HookCode(sys::OK)
    };
    guard::enter("pre_connection", hook).0
}

/// `suspend_connection`: a worker is about to leave a connection.
#[cfg(unix)]
unsafe extern "C" fn suspend_connection(connection: *mut sys::conn_rec, _r: *mut request_rec) {
    request::waking::be_usual();
    let mut is_done = false;
    guard::enter("suspend_connection", || {
        // SAFETY: called by httpd as this hook.
        unsafe { suspended::suspend(connection) };
        is_done = true;
    });
    if !is_done {
        // SAFETY: as above.
        guard::enter("suspend_connection", || unsafe { suspended::give_up(connection) });
    }
}

/// A function that httpd calls in a child that is told to stop.
type ChildStopping = unsafe extern "C" fn(*mut apr_pool_t, c_int);
/// The function of httpd that adds one to that hook.
type AddChildStopping = unsafe extern "C" fn(Option<ChildStopping>, *const *const c_char, *const *const c_char, c_int);

/// `ap_hook_child_stopping`, which httpd has from 2.4.49 on. The one that has loaded this module is asked, and not the
/// headers that it was built with: one binary is for all of them.
fn child_stopping_hook() -> Option<AddChildStopping> {
    let address = wsgi_unix::symbol_of_program(c"ap_hook_child_stopping");
    // SAFETY: httpd declares it so (http_config.h, AP_DECLARE_HOOK), and a null address is no function.
    unsafe { std::mem::transmute::<*mut c_void, Option<AddChildStopping>>(address) }
}

unsafe extern "C" fn child_stopping(_pool: *mut apr_pool_t, graceful: c_int) {
    guard::enter("child_stopping", || {
        if graceful == 0 {
            wsgi_unix::stop::begin();
            #[cfg(unix)]
            pump::wake();
        }
    });
}

unsafe extern "C" fn child_status(
    _server: *mut server_rec,
    pid: sys::pid_t,
    _generation: c_int,
    _slot: c_int,
    state: sys::mpm_child_status::Type,
) {
    match state {
        sys::mpm_child_status::MPM_CHILD_STARTED => guard::enter("child_status", lifecycle::child_started),
        sys::mpm_child_status::MPM_CHILD_EXITED => {
            guard::enter("child_status", || lifecycle::child_ended(u32::try_from(pid).unwrap_or(0)));
        }
        _ => {}
    }
}

/// Runs a hook about a request.
///
/// # Safety
/// `r` is the request that httpd calls the hook for.
unsafe fn with_request(name: &'static str, r: *mut request_rec, hook: fn(&mut Request<'_>) -> HookStatus) -> c_int {
    let hook = || {
        // SAFETY: S1; it is the only one made of this request while the hook runs.
        let mut request = unsafe { Request::from_raw(r) };
        HookCode(hook(&mut request).code())
    };
    guard::enter(name, hook).0
}

unsafe extern "C" fn translate_name(r: *mut request_rec) -> c_int {
    // SAFETY: called by httpd as this hook.
    unsafe { with_request("translate_name", r, request::translate_name) }
}

unsafe extern "C" fn access_checker(r: *mut request_rec) -> c_int {
    // SAFETY: called by httpd as this hook.
    unsafe { with_request("access_checker", r, request::access_checker) }
}

unsafe extern "C" fn fixups(r: *mut request_rec) -> c_int {
    // SAFETY: called by httpd as this hook.
    unsafe { with_request("fixups", r, request::fixups) }
}

/// `AP_STATUS_SHORT` of mod_status.h: `?auto`.
const STATUS_SHORT: c_int = 1;

unsafe extern "C" fn status(r: *mut request_rec, flags: c_int) -> c_int {
    let hook = || {
        // SAFETY: S1, as in `with_request`.
        let mut request = unsafe { Request::from_raw(r) };
        request::mod_status_part(&mut request, flags & STATUS_SHORT != 0);
        HookCode(sys::OK)
    };
    guard::enter("status_hook", hook).0
}

unsafe extern "C" fn handler(r: *mut request_rec) -> c_int {
    // SAFETY: called by httpd as this hook.
    unsafe { with_request("handler", r, request::handler) }
}

/// `log_transaction`, when all logs have been written.
unsafe extern "C" fn linger(r: *mut request_rec) -> c_int {
    let hook = |r: &mut Request<'_>| {
        request::linger(r);
        HookStatus::Declined
    };
    // SAFETY: called by httpd as this hook.
    unsafe { with_request("log_transaction", r, hook) }
}
