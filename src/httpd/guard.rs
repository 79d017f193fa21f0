//! The one gate through which httpd calls us: a panic becomes one log record and the value that means "failed", never
//! an unwind into C.

use std::any::Any;
use std::cell::RefCell;
use std::ffi::{c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::OnceLock;

use super::sys::{APR_EGENERAL, HTTP_INTERNAL_SERVER_ERROR};
use wsgi_unix::panics;

/// What the C caller sees when the body panicked. There is none for a plain number: each kind of return code is a type
/// of its own here, so that the "failed" of one cannot become the "found" of another.
pub trait OnPanic {
    /// The value that makes httpd treat the call as failed.
    fn on_panic() -> Self;
}

/// What a hook or an output filter returns: `OK`, `DECLINED`, `DONE` or an HTTP status. A panic is an internal error of
/// the server.
pub struct HookCode(pub c_int);

impl OnPanic for HookCode {
    fn on_panic() -> Self {
        Self(HTTP_INTERNAL_SERVER_ERROR)
    }
}

/// An `apr_status_t`, 0 for success.
pub struct AprStatus(pub c_int);

impl OnPanic for AprStatus {
    fn on_panic() -> Self {
        Self(APR_EGENERAL)
    }
}

/// What the engine hears of a piece of a response ([`wsgi_wire::embedded::Host::take`]): 0, or -1 for "nobody waits for
/// it any more".
pub struct Written(pub c_int);

impl OnPanic for Written {
    fn on_panic() -> Self {
        Self(-1)
    }
}

/// What the engine hears of a read ([`wsgi_wire::embedded::Host::pull`]): the kind of a frame; -1 is none, as if the
/// client had gone.
pub struct Pulled(pub c_int);

impl OnPanic for Pulled {
    fn on_panic() -> Self {
        Self(-1)
    }
}

/// What the engine hears of a variable ([`wsgi_wire::embedded::Host::ssl_variable`]): 1, or 0 for "not found". Only 1
/// says that there is a value.
pub struct Found(pub c_int);

impl OnPanic for Found {
    fn on_panic() -> Self {
        Self(0)
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

/// Writes the record about a panic.
type Report = fn(&str);

static REPORT: OnceLock<Report> = OnceLock::new();

/// Installs the hook that remembers a panic's location instead of printing a raw message into the error log. `report`
/// writes the record about it.
pub fn install(report: Report) {
    // The library is loaded anew, with all its statics, when httpd reads its configuration again.
    let _ = REPORT.set(report);
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

/// Runs `body`. `AssertUnwindSafe` holds because after a failure the request is abandoned and shared state sits behind
/// locks.
pub fn enter<R: OnPanic>(hook: &'static str, body: impl FnOnce() -> R) -> R {
    let body = || {
        panics::point(hook);
        body()
    };
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
    if let Some(report) = REPORT.get() {
        report(&format!("panic in {hook}: {message} at {place}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_panic_each_caller_hears_its_own_kind_of_failure() {
        fn failed<R: OnPanic>() -> R {
            // The log of httpd is not there in a unit test; what `enter` gives back is this.
            catch_unwind(|| -> R { panic!("on purpose") }).unwrap_or_else(|_| R::on_panic())
        }
        assert_eq!(failed::<HookCode>().0, 500);
        assert_eq!(failed::<Written>().0, -1, "the response has not been taken");
        assert!(u8::try_from(failed::<Pulled>().0).is_err(), "no kind of frame");
        assert_ne!(failed::<Found>().0, 1, "there is no value");
        assert_ne!(failed::<AprStatus>().0, 0, "no success");
    }
}
