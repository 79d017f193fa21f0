//! Threads of ours that may run Python code: their stacks are as large as those of any other thread of an interpreter.

use std::thread::Builder;

use wsgi_unix::stack;

use crate::ffi::guard;

/// The builder of a thread with this name. `stack_size`: the group's, in bytes; 0 is the system's.
pub(crate) fn builder(name: &str, stack_size: u64) -> Builder {
    let size = usize::try_from(stack_size).ok().filter(|size| *size > 0).unwrap_or_else(stack::size);
    Builder::new().name(format!("wsgi-{name}")).stack_size(size)
}

/// Runs `body` on a thread of its own and waits for it. Returns `None` if there can be no thread, or it panicked, which
/// the log tells.
pub(crate) fn run<R: Send>(name: &str, stack_size: u64, body: impl FnOnce() -> Option<R> + Send) -> Option<R> {
    std::thread::scope(|scope| {
        let thread = builder(name, stack_size).spawn_scoped(scope, || guard::catch(name, body));
        thread.ok()?.join().ok().flatten().flatten()
    })
}
