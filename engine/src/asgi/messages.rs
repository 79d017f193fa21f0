//! The messages that come on a WebSocket, and how many of them may wait for the application. Pure.

use std::collections::VecDeque;

use wsgi_websocket::close;
use wsgi_wire::codec::DecodeError;
use wsgi_wire::frame::Kind;
use wsgi_wire::websocket::Close;

use crate::asgi::message::Message;

/// How many bytes of messages may wait for the application before no more are received, whatever their number.
const WAITING: usize = 1 << 20;

/// The bounds of what waits for an application.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// `ws-max-size`: the largest message, bytes. The child keeps to it as well.
    pub(super) size: u64,
    /// `ws-max-queue`: how many messages wait for the application before no more are received.
    pub(super) queue: usize,
}

/// The messages of a WebSocket that have come and are not taken.
#[derive(Debug)]
pub(super) struct Messages {
    bounds: Bounds,
    /// Whether the application has been told that the client asks.
    is_told: bool,
    is_accepted: bool,
    waiting: VecDeque<Message>,
    /// How many bytes those have.
    bytes: usize,
    /// The message of which more is to come, and whether it is a text.
    partial: Option<(bool, Vec<u8>)>,
    is_paused: bool,
    closed: Option<Close>,
}

fn length(message: &Message) -> usize {
    match message {
        Message::Text(text) => text.len(),
        Message::Binary(bytes) => bytes.len(),
        _ => 0,
    }
}

impl Messages {
    /// Makes the messages of a WebSocket that a client asks for.
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            is_told: false,
            is_accepted: false,
            waiting: VecDeque::new(),
            bytes: 0,
            partial: None,
            is_paused: false,
            closed: None,
        }
    }

    /// Notes that the application has accepted: messages may come.
    pub(super) fn accepted(&mut self) {
        self.is_accepted = true;
    }

    /// The next message, if there is one.
    pub(super) fn take(&mut self) -> Option<Message> {
        if !std::mem::replace(&mut self.is_told, true) {
            return Some(Message::Connect);
        }
        if let Some(message) = self.waiting.pop_front() {
            self.bytes -= length(&message);
            return Some(message);
        }
        self.closed.clone().map(Message::Closed)
    }

    /// Takes a piece of a message.
    ///
    /// # Errors
    /// If no message may come, this one is no text, goes on as another kind, or is too long.
    pub(super) fn arrived(&mut self, is_text: bool, piece: Vec<u8>, is_more: bool) -> Result<(), DecodeError> {
        let kind = if is_text { Kind::Text } else { Kind::Binary };
        if !self.is_accepted || self.partial.as_ref().is_some_and(|(began_as_text, _)| *began_as_text != is_text) {
            return Err(DecodeError::Unknown(kind as u64));
        }
        let message = match self.partial.take() {
            Some((_, mut message)) => {
                message.extend_from_slice(&piece);
                message
            }
            None => piece,
        };
        if message.len() as u64 > self.bounds.size {
            return Err(DecodeError::TooLong(message.len()));
        }
        if is_more {
            self.partial = Some((is_text, message));
            return Ok(());
        }
        let message = match is_text {
            true => Message::Text(String::from_utf8(message).map_err(|_| DecodeError::NotText)?),
            false => Message::Binary(message),
        };
        if self.closed.is_none() {
            self.bytes += length(&message);
            self.waiting.push_back(message);
            self.is_paused = self.is_full();
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.waiting.len() >= self.bounds.queue || self.bytes >= WAITING
    }

    /// Whether nothing more is to be received before the application has taken something.
    pub(super) fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Returns whether receiving goes on after a pause, and notes that it does.
    pub(super) fn resumes(&mut self) -> bool {
        self.is_paused && {
            self.is_paused = self.is_full();
            !self.is_paused
        }
    }

    /// Notes the end of the WebSocket; the first one counts.
    pub(super) fn closed(&mut self, close: Close) {
        self.closed.get_or_insert(close);
    }

    /// Notes that the client is gone, or has a response.
    pub(super) fn is_over(&mut self) {
        self.closed(Close { code: close::LOST, reason: String::new() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(size: u64, queue: usize) -> Messages {
        let mut messages = Messages::new(Bounds { size, queue });
        assert_eq!([messages.take(), messages.take()], [Some(Message::Connect), None]);
        messages.accepted();
        messages
    }

    fn closed(code: u16) -> Option<Message> {
        Some(Message::Closed(Close { code, reason: String::new() }))
    }

    #[test]
    fn pieces_make_messages_and_a_character_may_be_cut() {
        let mut messages = messages(9, 9);
        messages.arrived(true, b"na\xc3".into(), true).unwrap();
        assert_eq!(messages.take(), None);
        messages.arrived(true, b"\xafve".into(), false).unwrap();
        messages.arrived(false, vec![], false).unwrap();
        assert_eq!(messages.take(), Some(Message::Text("na\u{ef}ve".into())));
        assert_eq!([messages.take(), messages.take()], [Some(Message::Binary(vec![])), None]);
    }

    #[test]
    fn what_no_child_of_ours_sends_is_refused() {
        let mut early = Messages::new(Bounds { size: 9, queue: 9 });
        assert!(early.arrived(true, vec![], false).is_err(), "before it is accepted");
        let mut mixed = messages(9, 9);
        mixed.arrived(true, vec![], true).unwrap();
        assert!(mixed.arrived(false, vec![], false).is_err(), "as another kind");
        assert_eq!(messages(9, 9).arrived(true, vec![0xff], false), Err(DecodeError::NotText));
        let mut long = messages(3, 9);
        long.arrived(false, vec![0; 3], true).unwrap();
        assert_eq!(long.arrived(false, vec![0], false), Err(DecodeError::TooLong(4)));
    }

    #[test]
    fn receiving_pauses_while_many_messages_or_bytes_wait() {
        let mut many = messages(9, 2);
        many.arrived(false, vec![1], false).unwrap();
        assert!(!many.is_paused());
        many.arrived(false, vec![2], false).unwrap();
        assert!(many.is_paused() && !many.resumes());
        many.take();
        assert!(many.resumes() && !many.resumes() && !many.is_paused());
        let mut large = messages(1 << 30, 9);
        large.arrived(false, vec![0; WAITING], false).unwrap();
        assert!(large.is_paused());
        large.take();
        assert!(large.resumes());
    }

    #[test]
    fn what_has_come_is_told_before_the_end_and_the_first_end_counts() {
        let mut messages = messages(9, 9);
        messages.arrived(false, vec![1], false).unwrap();
        messages.closed(Close { code: 4000, reason: String::new() });
        messages.is_over();
        messages.arrived(false, vec![2], false).unwrap();
        assert_eq!(messages.take(), Some(Message::Binary(vec![1])));
        assert_eq!([messages.take(), messages.take()], [closed(4000), closed(4000)]);
    }
}
