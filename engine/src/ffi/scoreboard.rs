//! Apache's scoreboard, and the ways in which a process gets it.

use wsgi_wire::codec::Wire;
use wsgi_wire::embedded::{self as seam, View};
use wsgi_wire::scoreboard::Scoreboard as Content;

/// The way in which this process gets the scoreboard.
pub(crate) enum Scoreboard {
    /// It does not get it: no directive allows that.
    Forbidden,
    /// Apache has it: the process is an Apache child and calls this function.
    Function(seam::Scoreboard),
    /// A daemon process asks for it (`shared_scoreboard`).
    Shared(Box<dyn Fn() -> Option<Content> + Send + Sync>),
}

impl Scoreboard {
    /// Whether applications may see it.
    pub(crate) fn is_allowed(&self) -> bool {
        !matches!(self, Self::Forbidden)
    }

    /// The current scoreboard; `None` if Apache does not answer. May take a moment.
    pub(crate) fn read(&self) -> Option<Content> {
        match self {
            Self::Forbidden => None,
            Self::Function(function) => {
                let mut view = View::of(&[]);
                // SAFETY: callable until the process ends, says the seam; a place for a view.
                unsafe { function(&raw mut view) };
                // SAFETY: the view is valid until this thread calls again.
                let encoded = unsafe { std::slice::from_raw_parts(view.start, view.length) };
                Content::from_bytes(encoded).ok()
            }
            Self::Shared(fetch) => fetch(),
        }
    }
}
