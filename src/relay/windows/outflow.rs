//! What a client takes: on Windows nobody but Apache knows.
#![forbid(unsafe_code)]

use super::client::Client;

/// What any client takes at once whose connection takes something, bytes.
pub const MIN: usize = 16 << 10;

/// Whether the client takes nothing now, which is not told here.
pub fn is_blocked(_client: &impl Client) -> bool {
    false
}
