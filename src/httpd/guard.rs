//! The one gate through which httpd calls us: a panic becomes one log record and the value that means "failed", never an unwind into C.

use std::any::Any;
use std::cell::RefCell;
use std::ffi::{c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use super::log;
use super::sys::HTTP_INTERNAL_SERVER_ERROR;
use wsgi_wire::record::Level;

/// What the C caller sees when the body panicked.
pub trait OnPanic {
    /// The value that makes httpd treat the call as failed.
    fn on_panic() -> Self;
}

impl OnPanic for c_int {
    fn on_panic() -> Self {
        HTTP_INTERNAL_SERVER_ERROR
    }
}

impl OnPanic for () {
    fn on_panic() -> Self {}
}

impl OnPanic for *const c_char {
    fn on_panic() -> Self {
        c"internal error (panic) while reading this directive".as_ptr()
    }
}

impl OnPanic for *mut c_void {
    /// A configuration record that is not there: every user of it takes the defaults, every directive fails.
    fn on_panic() -> Self {
        ptr::null_mut()
    }
}

thread_local! {
    /// Where this thread panicked last: the hook stores it, the guard logs it.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Installs the hook that remembers a panic's location instead of printing a raw message into the error log.
pub fn install() {
    std::panic::set_hook(Box::new(|info| {
        if let Some(at) = info.location() {
            PLACE.with(|place| place.replace(Some(format!("{}:{}", at.file(), at.line()))));
        }
    }));
}

/// Takes the hook away before the module is unloaded.
pub fn remove() {
    drop(std::panic::take_hook());
}

/// Runs `body`. `AssertUnwindSafe` holds because after a failure the request is abandoned and shared state sits behind locks.
pub fn enter<R: OnPanic>(hook: &'static str, body: impl FnOnce() -> R) -> R {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|payload| {
        report(hook, payload.as_ref());
        // Dropping the payload could panic again; leaking it cannot.
        std::mem::forget(payload);
        R::on_panic()
    })
}

fn report(hook: &str, payload: &(dyn Any + Send)) {
    let message = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    let place = PLACE.with(RefCell::take).unwrap_or_else(|| "an unknown place".to_owned());
    log::main(Level::Crit, format_args!("panic in {hook}: {message} at {place}"));
}
