//! The header lines that follow the content of a response.

use super::{Exchange, Stage};
use crate::request::response_head::Head;

impl Exchange {
    /// Notes that header lines follow the content.
    pub(in crate::asgi) fn expects_trailers(&self) {
        self.state().trailers.are_announced = true;
    }

    /// Whether the response goes on behind its content.
    pub(in crate::asgi) fn has_trailers(&self) -> bool {
        self.state().trailers.are_announced
    }

    /// Notes that all content has been given.
    pub(in crate::asgi) fn is_trailing(&self) {
        let mut state = self.state();
        if state.stage < Stage::Trailing {
            state.stage = Stage::Trailing;
        }
    }

    /// Takes the header lines that have been given so far.
    pub(in crate::asgi) fn take_trailers(&self) -> Head {
        std::mem::take(&mut self.state().trailers.given)
    }

    /// Keeps header lines until more of them are given.
    pub(in crate::asgi) fn keep_trailers(&self, given: Head) {
        self.state().trailers.given = given;
    }
}
