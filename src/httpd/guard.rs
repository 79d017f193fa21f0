//! The one gate through which httpd calls us: a panic becomes one log record and the value that means "failed", never
//! an unwind into C.

use std::ffi::{c_char, c_int, c_void};
use std::ptr;

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

/// What the engine hears of a piece of a response ([`wsgi_wire::embedded::Host::send_frame`]): 0, or -1 for "nobody
/// waits for it any more".
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

pub use panics::repeat;

/// Runs `body`; a panic is logged as "panic in `hook`".
pub fn enter<R: OnPanic>(hook: &'static str, body: impl FnOnce() -> R) -> R {
    panics::catch(hook, body).unwrap_or_else(R::on_panic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_panic_each_caller_hears_its_own_kind_of_failure() {
        fn failed<R: OnPanic>() -> R {
            enter("a hook", || panic!("on purpose"))
        }
        assert_eq!(failed::<HookCode>().0, 500);
        assert_eq!(failed::<Written>().0, -1, "the response has not been taken");
        assert!(u8::try_from(failed::<Pulled>().0).is_err(), "no kind of frame");
        assert_ne!(failed::<Found>().0, 1, "there is no value");
        assert_ne!(failed::<AprStatus>().0, 0, "no success");
    }
}
