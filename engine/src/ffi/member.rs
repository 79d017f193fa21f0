//! The names of what CPython calls of a class, for records about panics there.

use std::ffi::CStr;
use std::fmt::{Display, Formatter, Result};

/// The name of a method, an attribute or a slot, with that of its class. The former is looked up when it is needed.
#[derive(Clone, Copy)]
pub(super) struct Member(pub(super) &'static CStr, pub(super) fn() -> &'static CStr);

impl Display for Member {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}.{}", self.0.to_string_lossy(), (self.1)().to_string_lossy())
    }
}
