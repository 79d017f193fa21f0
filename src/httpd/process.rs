//! What belongs to the process as a whole.

use std::mem::ManuallyDrop;
use std::ops::ControlFlow;
use std::thread::JoinHandle;

use wsgi_unix::signals::SignalSet;

use super::guard;

/// A thread of this child that works beside httpd's own.
pub struct BackgroundThread {
    /// Never dropped: that would detach a thread, which a process that does not have it cannot do.
    handle: ManuallyDrop<JoinHandle<()>>,
    /// The process that has the thread: one that is forked off it (mpm_itk forks for each connection) has only the
    /// handle.
    pid: u32,
}

impl BackgroundThread {
    /// Starts a thread that takes one `turn` after the other until one breaks off. No signal reaches it: signals are
    /// for httpd's own threads. A panic costs one turn. `place`: the thread in the record about that.
    ///
    /// # Errors
    /// If there can be no more threads.
    pub fn repeat(
        place: &'static str,
        name: &str,
        turn: impl FnMut() -> ControlFlow<()> + Send + 'static,
    ) -> std::io::Result<Self> {
        let before = SignalSet::all().block();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || guard::repeat(place, turn));
        before.block();
        Ok(thread?.into())
    }

    /// Whether the calling process is the one that has the thread, and may tell it to end.
    pub fn is_here(&self) -> bool {
        self.pid == std::process::id()
    }

    /// Waits for the end of the thread, where it is. A panic in it has been logged.
    pub fn join(self) {
        if self.is_here() {
            let _ = ManuallyDrop::into_inner(self.handle).join();
        }
    }
}

impl From<JoinHandle<()>> for BackgroundThread {
    fn from(handle: JoinHandle<()>) -> Self {
        Self { handle: ManuallyDrop::new(handle), pid: std::process::id() }
    }
}

/// Sets variables of the process's environment. For `child_init`, before the hooks of all other modules.
pub fn set_variables(variables: &[(&'static str, Vec<u8>)]) {
    for (name, value) in variables {
        // SAFETY: the only caller is our first `child_init` hook, which httpd calls before those of other modules
        // (`APR_HOOK_REALLY_FIRST`): a child that has just been forked has the one thread that forked it. With `httpd
        // -X` nothing is forked, and the only thread is the one that read the configuration, for which httpd's modules
        // start none.
        unsafe { std::env::set_var(name, wsgi_unix::native(value)) };
    }
}

/// Removes variables from the process's environment. For `check_config`, at the first reading of the configuration.
#[cfg(unix)]
pub fn remove_variables(names: &[&'static str]) {
    for name in names {
        // SAFETY: the only caller is `check_config` of the first of the two readings at start, when httpd has one
        // thread
        // (S2), and no module has been told to begin anything: that comes with `post_config` and `child_init`.
        unsafe { std::env::remove_var(name) };
    }
}

/// Whether a signal that ends this process waits to be delivered.
pub fn is_told_to_end() -> bool {
    SignalSet::pending().has(libc::SIGTERM)
}
