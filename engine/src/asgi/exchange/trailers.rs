//! What is known of header lines that follow the content of a response.

use crate::request::response_head::Head;

/// The header lines that follow the content of one response.
#[derive(Default)]
pub(super) struct Trailers {
    /// Whether the application has said that some follow.
    pub(super) are_announced: bool,
    /// Those that it has given so far.
    pub(super) given: Head,
}
