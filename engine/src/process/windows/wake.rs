//! The way to wake the main thread of a daemon process: there is none.

/// Nobody who sleeps.
pub(crate) struct Wake;

impl Wake {
    /// Makes what wakes nobody.
    ///
    /// # Errors
    /// Never.
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    /// Has nobody to wake.
    pub(super) fn call(&self) {}

    /// Has nothing to forget.
    pub(super) fn forget(&self) {}
}
