//! The memory that this thread needs for a request.
#![forbid(unsafe_code)]

use std::cell::RefCell;

pub use crate::relay::scratch::Scratch;

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Lends this thread's memory, which is empty, for one request.
pub fn with_scratch<R>(body: impl FnOnce(&mut Scratch) -> R) -> R {
    // Taken out rather than borrowed: a filter may run a subrequest, and with it this function again, on the same
    // thread.
    let mut scratch = SCRATCH.with(RefCell::take);
    let result = body(&mut scratch);
    scratch.clear();
    SCRATCH.with(|kept| kept.replace(scratch));
    result
}
