//! The request body as `wsgi.input` reads it: what has arrived and is not read yet, and when more has to be asked for.
//! Pure.

use wsgi_unix::kept_memory::{self, Kept};
use wsgi_wire::limits;

/// How many bytes are asked for at a time at least, so that reading line by line does not ask for every line.
const READ_AHEAD: usize = 64 << 10;

/// How much room is made beforehand at the most because the client has announced so much: it need not send it. What is
/// longer moves to a larger place as it arrives.
const ROOM: u64 = 16 << 20;

/// The body of a request, as far as it has arrived.
#[derive(Debug, Default)]
pub(crate) struct Body {
    buffer: Vec<u8>,
    /// Where the unread part of the buffer begins.
    at: usize,
    /// The offset up to which the unread part has been searched for a line end.
    searched: usize,
    /// Whether the buffer ends where the body ends.
    ended: bool,
    /// How many announced bytes are still to come.
    announced: u64,
    /// How many of these the last read needs.
    wanted: u64,
    /// How many bytes the buffer had before more was asked for.
    before: usize,
    /// Whether anything has been asked for.
    asked: bool,
    /// Whether the body broke off; then no read succeeds any more.
    pub(crate) failed: bool,
}

impl Body {
    /// A body that is here as a whole.
    pub(crate) fn whole(data: Vec<u8>) -> Self {
        Self { buffer: data, ended: true, ..Self::default() }
    }

    /// A body that has to be asked for, of this length if the client has announced one.
    pub(crate) fn to_come(length: Option<u64>) -> Self {
        Self { announced: length.unwrap_or(0), ..Self::default() }
    }

    /// Whether nothing has been asked for yet of a body that does not come by itself.
    pub(crate) fn is_untouched(&self) -> bool {
        !self.asked && !self.ended
    }

    fn available(&self) -> usize {
        self.buffer.len() - self.at
    }

    /// Takes `size` bytes (`None`: all), or what is left at the end. `Err` says how much to ask for first.
    pub(crate) fn read(&mut self, size: Option<usize>) -> Result<Vec<u8>, u32> {
        let wanted = size.unwrap_or(usize::MAX);
        if wanted > self.available() && !self.ended {
            return Err(self.ask(wanted - self.available()));
        }
        Ok(self.take(wanted.min(self.available())))
    }

    /// Takes a line with its line feed, at most `limit` bytes of it, or what is left at the end. `Err` says how much to
    /// ask for first.
    pub(crate) fn read_line(&mut self, limit: Option<usize>) -> Result<Vec<u8>, u32> {
        let limit = limit.unwrap_or(usize::MAX);
        let unread = &self.buffer[self.at..];
        let from = self.searched.saturating_sub(self.at).min(unread.len());
        let line = unread[from..].iter().position(|b| *b == b'\n').map(|n| from + n + 1);
        let length = line.unwrap_or(usize::MAX).min(limit);
        if length > unread.len() && !self.ended {
            self.searched = self.buffer.len();
            return Err(self.ask(READ_AHEAD));
        }
        Ok(self.take(length.min(unread.len())))
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        if self.at == 0 && length == self.buffer.len() {
            self.searched = 0;
            return std::mem::take(&mut self.buffer);
        }
        let taken = self.buffer[self.at..self.at + length].to_vec();
        self.at += length;
        taken
    }

    fn ask(&mut self, missing: usize) -> u32 {
        self.wanted = missing as u64;
        missing.clamp(READ_AHEAD, limits::PULL as usize) as u32
    }

    /// The buffer behind whose contents what arrives next is put. There is room for all that the last read needs, as
    /// far as that has been announced.
    pub(crate) fn place(&mut self) -> &mut Vec<u8> {
        self.buffer.drain(..self.at);
        self.searched = self.searched.saturating_sub(self.at);
        self.at = 0;
        let room = self.wanted.min(self.announced).min(ROOM) as usize;
        if self.buffer.capacity() == 0 && (kept_memory::MIN..=kept_memory::MAX).contains(&room) {
            self.buffer = Kept::take().into_inner();
        }
        self.buffer.reserve_exact(room);
        self.before = self.buffer.len();
        &mut self.buffer
    }

    /// Notes that bytes have arrived in the buffer; `more`: these were not the last.
    pub(crate) fn arrived(&mut self, more: bool) {
        self.asked = true;
        self.ended = !more;
        self.announced = self.announced.saturating_sub((self.buffer.len() - self.before) as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(data: &[&[u8]]) -> impl FnMut() -> Option<Vec<u8>> {
        let mut pieces: Vec<Vec<u8>> = data.iter().rev().map(|p| p.to_vec()).collect();
        move || pieces.pop()
    }

    fn arrive(body: &mut Body, piece: Option<Vec<u8>>) {
        let more = piece.is_some();
        body.place().extend(piece.unwrap_or_default());
        body.arrived(more);
    }

    fn all(
        body: &mut Body,
        next: &mut impl FnMut() -> Option<Vec<u8>>,
        step: impl Fn(&mut Body) -> Result<Vec<u8>, u32>,
    ) -> Vec<u8> {
        loop {
            match step(body) {
                Ok(data) => return data,
                Err(_) => arrive(body, next()),
            }
        }
    }

    #[test]
    fn reads_continue_where_the_last_one_stopped_however_the_pieces_were_cut() {
        let text = b"one\ntwo-three\nfour\nfive";
        for size in 1..text.len() {
            let cut: Vec<&[u8]> = text.chunks(size).collect();
            let (mut body, mut next) = (Body::to_come(None), pieces(&cut));
            assert_eq!(all(&mut body, &mut next, |b| b.read_line(None)), b"one\n");
            assert_eq!(all(&mut body, &mut next, |b| b.read(Some(3))), b"two");
            assert_eq!(all(&mut body, &mut next, |b| b.read_line(None)), b"-three\n");
            assert_eq!(all(&mut body, &mut next, |b| b.read_line(Some(2))), b"fo");
            assert_eq!(all(&mut body, &mut next, |b| b.read(None)), b"ur\nfive");
            for _ in 0..2 {
                assert_eq!(all(&mut body, &mut next, |b| b.read(None)), b"");
                assert_eq!(all(&mut body, &mut next, |b| b.read_line(None)), b"");
            }
        }
    }

    #[test]
    fn what_is_read_whole_arrives_in_one_place_and_no_client_makes_that_larger_than_it_is_worth() {
        let mut body = Body::to_come(Some(1 << 20));
        assert!(body.read(None).is_err());
        let place = body.place().as_ptr();
        for _ in 0..16 {
            arrive(&mut body, Some(vec![7; 64 << 10]));
            assert!(body.read(None).is_err());
        }
        arrive(&mut body, None);
        let read = body.read(None).unwrap();
        assert_eq!((read.len(), read.as_ptr()), (1 << 20, place));
        let mut announced = Body::to_come(Some(u64::MAX));
        assert!(announced.read(None).is_err() && announced.place().capacity() as u64 == ROOM);
        let mut piecemeal = Body::to_come(Some(u64::MAX));
        assert!(piecemeal.read(Some(1000)).is_err() && piecemeal.place().capacity() == 1000);
    }

    #[test]
    fn nothing_is_asked_for_that_is_not_needed() {
        let mut body = Body::to_come(Some(4));
        assert_eq!(body.read(Some(0)), Ok(vec![]));
        assert_eq!(body.read(Some(10)), Err(READ_AHEAD as u32));
        assert_eq!(body.read(None), Err(limits::PULL));
        arrive(&mut body, Some(b"abc\n".to_vec()));
        assert_eq!(body.read_line(Some(2)), Ok(b"ab".to_vec()));
        assert_eq!(body.read_line(None), Ok(b"c\n".to_vec()));
        assert_eq!(Body::whole(b"x".to_vec()).read(None), Ok(b"x".to_vec()));
    }
}
