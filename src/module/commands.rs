//! From the directive table to httpd's `command_rec`s, and back from httpd's calls to setters.
//!
//! All directives take the rest of the line raw: words, counts and options are then parsed in one place with one kind
//! of message.

use std::ffi::{c_char, c_int, c_void};
use std::ptr;
use std::sync::PoisonError;

use crate::directives::directive::{Context, Directive, Host, Line, Nested, Setter};
use crate::directives::settings::{RequestSettings, ServerSettings};
use crate::directives::{DIRECTIVES, configuration};
use crate::httpd::identity;
use crate::httpd::pool::Pool;
use crate::httpd::regex::Regex;
use crate::httpd::server::{Server, server_root_path};
use crate::httpd::sys::{self, cmd_func, cmd_parms, command_rec};
use crate::httpd::user::User;
use crate::httpd::{bytes, guard};
use crate::policy::origin::Origin;

/// The directive table in httpd's form.
#[repr(transparent)]
pub struct Commands([command_rec; DIRECTIVES.len() + 1]);

// SAFETY: never written; the pointers in it point to statics.
unsafe impl Sync for Commands {}

static COMMANDS: Commands = {
    let mut records = [END; DIRECTIVES.len() + 1];
    let mut i = 0;
    while i < DIRECTIVES.len() {
        records[i] = record(&DIRECTIVES[i]);
        i += 1;
    }
    Commands(records)
};

const END: command_rec = command_rec {
    name: ptr::null(),
    func: cmd_func { no_args: None },
    cmd_data: ptr::null_mut(),
    req_override: 0,
    args_how: sys::cmd_how::RAW_ARGS,
    errmsg: ptr::null(),
};

const fn record(directive: &'static Directive) -> command_rec {
    command_rec {
        name: directive.name.as_ptr(),
        func: cmd_func { raw_args: Some(set) },
        cmd_data: ptr::from_ref(directive).cast_mut().cast::<c_void>(),
        req_override: places(directive.context),
        args_how: sys::cmd_how::RAW_ARGS,
        errmsg: directive.help.as_ptr(),
    }
}

const fn places(context: Context) -> c_int {
    match context {
        Context::Global | Context::Server => sys::RSRC_CONF,
        Context::Configuration => sys::RSRC_CONF | sys::ACCESS_CONF,
        Context::FileInfo => sys::OR_FILEINFO,
        Context::Access => sys::OR_AUTHCFG,
    }
}

/// The table for the module record.
pub(super) const fn table() -> *const command_rec {
    (&raw const COMMANDS).cast::<command_rec>()
}

unsafe extern "C" fn set(parms: *mut cmd_parms, record: *mut c_void, arguments: *const c_char) -> *const c_char {
    guard::enter("a directive", || {
        // SAFETY: httpd hands over the parameters of the directive that it is processing.
        let parms = unsafe { &*parms };
        // SAFETY: as above; `record` is our own for this place.
        unsafe { apply(parms, record, arguments) }
    })
}

/// # Safety
/// As for `set`.
unsafe fn apply(parms: &cmd_parms, record: *mut c_void, arguments: *const c_char) -> *const c_char {
    // SAFETY: `cmd_data` was made from a `&'static Directive` in `record`.
    let directive = unsafe { &*parms.info.cast::<Directive>() };
    // SAFETY: the pool of a directive that is being processed lives longer than this call.
    let pool = unsafe { Pool::from_raw(parms.pool) };
    // SAFETY: as above.
    let temporary = unsafe { Pool::from_raw(parms.temp_pool) };
    // SAFETY: as above.
    let server = unsafe { Server::from_raw(parms.server) };
    if directive.context == Context::Global {
        // SAFETY: `parms` as httpd gave it; the result lives in its pool.
        let refused = unsafe { sys::ap_check_cmd_context(ptr::from_ref(parms).cast_mut(), sys::GLOBAL_ONLY as u32) };
        if !refused.is_null() {
            return refused;
        }
    }
    // SAFETY: S6.
    let arguments = unsafe { bytes(arguments) }.unwrap_or(b"");
    // SAFETY: the directive tree lives in a pool of httpd that outlives the reading of the configuration.
    let nested = unsafe { children(parms.directive) };
    // SAFETY: `parms` as httpd gave it; the result is only looked at for being there.
    let refused = unsafe { sys::ap_check_cmd_context(ptr::from_ref(parms).cast_mut(), sys::NOT_IN_HTACCESS as u32) };
    let host = Pools { lasting: pool, temporary, is_htaccess: !refused.is_null() };
    let line = Line { arguments, host: &host, origin: origin(server), nested };
    let outcome = match directive.set {
        // SAFETY: S3, S4.
        Setter::Request(set) => match unsafe { record.cast::<RequestSettings>().as_mut() } {
            Some(settings) => set(settings, &line),
            None => return guard::OnPanic::on_panic(),
        },
        // SAFETY: S4.
        Setter::Server(set) => match unsafe { server.settings_mut::<ServerSettings>() } {
            Some(settings) => {
                set(settings, &mut configuration::DRAFT.lock().unwrap_or_else(PoisonError::into_inner), &line)
            }
            None => return guard::OnPanic::on_panic(),
        },
        Setter::Global(set) => set(&mut configuration::DRAFT.lock().unwrap_or_else(PoisonError::into_inner), &line),
    };
    match outcome {
        Ok(()) => ptr::null(),
        Err(error) => pool.text(format!("{}: {error}", directive.name.to_string_lossy()).as_bytes()).as_ptr(),
    }
}

/// The pools that httpd has while it reads a directive.
struct Pools<'p> {
    /// The pool that lives as long as the configuration.
    lasting: Pool<'p>,
    /// The pool that lives while the configuration is read.
    temporary: Pool<'p>,
    is_htaccess: bool,
}

impl Host for Pools<'_> {
    fn user(&self, text: &[u8]) -> Option<User> {
        identity::user(self.temporary, text)
    }

    fn group(&self, text: &[u8]) -> Option<u32> {
        identity::group(self.temporary, text)
    }

    fn server_root_path(&self, path: &[u8]) -> Option<Vec<u8>> {
        server_root_path(self.temporary, path)
    }

    fn is_htaccess(&self) -> bool {
        self.is_htaccess
    }

    fn regex(&self, pattern: &[u8]) -> Option<Regex> {
        Regex::new(self.lasting, pattern)
    }
}

fn origin(server: Server<'_>) -> Origin {
    Origin { id: server.id(), is_virtual: server.is_virtual(), hostname: server.hostname().map(<[u8]>::to_vec) }
}

/// The directives inside a section; empty for anything that is no section.
///
/// # Safety
/// `section` is null or a node of a directive tree that outlives the result.
unsafe fn children<'a>(section: *const sys::ap_directive_t) -> Vec<Nested<'a>> {
    let mut found = Vec::new();
    // SAFETY: the caller's duty.
    let Some(section) = (unsafe { section.as_ref() }) else { return found };
    let mut next = section.first_child;
    // SAFETY: the caller's duty: httpd links the nodes of one tree, and ends the list with null.
    while let Some(node) = unsafe { next.as_ref() } {
        // SAFETY: S6.
        let name = unsafe { bytes(node.directive) };
        // SAFETY: S6.
        let arguments = unsafe { bytes(node.args) };
        found.push(Nested { name: name.unwrap_or(b""), arguments: arguments.unwrap_or(b"") });
        next = node.next;
    }
    found
}
