//! The messages that an application receives in one request: its body in pieces, then that the client is gone. Pure:
//! says what to ask for and what there is, and does neither.

use std::collections::VecDeque;

use wsgi_wire::request::Body;

use crate::asgi::message::Message;

/// How many bytes are asked for at a time at the most: the application never has more than two pieces of this size
/// still to take.
pub(super) const PIECE: u32 = 256 << 10;

/// The progress of the application with its messages.
#[derive(Debug, Default)]
pub(super) struct Receiving {
    /// The pieces that have arrived and are not taken.
    pieces: VecDeque<Vec<u8>>,
    /// How many bytes are still to come, where the client has announced that.
    left: Option<u64>,
    /// Whether a piece has been asked for that has not come.
    asked: bool,
    /// Whether all of the body has arrived, or no more of it will.
    ended: bool,
    /// Whether the application has been told that.
    told: bool,
    /// Whether the body broke off, the client is gone, or the client has its response.
    over: bool,
}

impl Receiving {
    /// Makes the progress of a request of whose body nothing has been taken.
    pub(super) fn new(body: Body<'_>) -> Self {
        match body {
            Body::None => Self { ended: true, ..Self::default() },
            Body::Inline(data) => Self { pieces: [data.to_vec()].into(), ended: true, ..Self::default() },
            Body::Pull(left) => Self { left, ended: left == Some(0), ..Self::default() },
        }
    }

    /// The next message, if there is one.
    pub(super) fn take(&mut self) -> Option<Message> {
        if let Some(piece) = self.pieces.pop_front() {
            self.told = self.ended && self.pieces.is_empty();
            return Some(Message::Body(piece, !self.told));
        }
        if self.ended && !self.told {
            self.told = true;
            return Some(Message::Body(Vec::new(), false));
        }
        self.over.then_some(Message::Disconnect)
    }

    /// Returns whether a piece has to be asked for now, and notes that the caller asks. One piece is asked for ahead of
    /// what is taken.
    pub(super) fn asks(&mut self) -> bool {
        let asks = !self.asked && !self.ended && !self.over && self.pieces.is_empty();
        self.asked |= asks;
        asks
    }

    /// Notes that a piece has arrived.
    pub(super) fn arrived(&mut self, piece: Vec<u8>) {
        self.asked = false;
        self.left = self.left.map(|left| left.saturating_sub(piece.len() as u64));
        self.ended |= self.left == Some(0);
        self.pieces.push_back(piece);
    }

    /// Notes that the body has come to its end.
    pub(super) fn end(&mut self) {
        (self.asked, self.ended) = (false, true);
    }

    /// Notes that nothing more comes: the body broke off, the client is gone, or has its response.
    pub(super) fn is_over(&mut self) {
        self.over = true;
        // What is not all there is never told to be.
        self.told |= !self.ended;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &str, more: bool) -> Option<Message> {
        Some(Message::Body(text.into(), more))
    }

    #[test]
    fn what_is_there_comes_at_once_and_nothing_is_asked_for() {
        for (given, text) in [(Body::None, ""), (Body::Inline(b"abc"), "abc"), (Body::Pull(Some(0)), "")] {
            let mut receiving = Receiving::new(given);
            assert!(!receiving.asks());
            assert_eq!(receiving.take(), body(text, false));
            assert_eq!(receiving.take(), None);
            receiving.is_over();
            assert_eq!(receiving.take(), Some(Message::Disconnect));
            assert_eq!(receiving.take(), Some(Message::Disconnect));
        }
    }

    #[test]
    fn one_piece_is_asked_for_at_a_time_and_one_ahead() {
        let mut receiving = Receiving::new(Body::Pull(None));
        assert_eq!(receiving.take(), None);
        assert!(receiving.asks() && !receiving.asks());
        receiving.arrived(b"one".into());
        assert!(!receiving.asks(), "what has come is not taken yet");
        assert_eq!(receiving.take(), body("one", true));
        assert!(receiving.asks() && !receiving.asks());
        receiving.end();
        assert!(!receiving.asks());
        assert_eq!([receiving.take(), receiving.take()], [body("", false), None]);
    }

    #[test]
    fn an_announced_length_tells_which_piece_is_the_last() {
        let mut receiving = Receiving::new(Body::Pull(Some(5)));
        assert!(receiving.asks());
        receiving.arrived(b"123".into());
        assert_eq!(receiving.take(), body("123", true));
        assert!(receiving.asks());
        receiving.arrived(b"45".into());
        assert!(!receiving.asks());
        assert_eq!([receiving.take(), receiving.take()], [body("45", false), None]);
    }

    #[test]
    fn a_body_that_breaks_off_is_no_whole_one() {
        let mut receiving = Receiving::new(Body::Pull(Some(5)));
        receiving.arrived(b"123".into());
        receiving.is_over();
        assert!(!receiving.asks());
        assert_eq!([receiving.take(), receiving.take()], [body("123", true), Some(Message::Disconnect)]);
    }

    #[test]
    fn a_whole_body_is_told_before_the_client_is_gone() {
        let mut receiving = Receiving::new(Body::Inline(b"abc"));
        receiving.is_over();
        assert_eq!([receiving.take(), receiving.take()], [body("abc", false), Some(Message::Disconnect)]);
    }
}
