//! The request body as `wsgi.input` reads it: what has arrived and is not read yet, and when more must be asked for. Pure.

use wsgi_wire::limits;

/// The least that is asked for at a time, so that reading line by line does not ask for every line.
const READ_AHEAD: usize = 64 << 10;

/// What has arrived of a body.
#[derive(Debug, Default)]
pub(crate) struct Body {
    buffer: Vec<u8>,
    /// Where the unread part of the buffer begins.
    at: usize,
    /// Up to where the unread part has been searched for a line end.
    searched: usize,
    /// Whether the buffer ends where the body ends.
    ended: bool,
    /// Whether anything has been asked for.
    asked: bool,
    /// Whether it broke off; then no read succeeds any more.
    pub(crate) failed: bool,
}

impl Body {
    /// A body that is all there.
    pub(crate) fn whole(data: Vec<u8>) -> Self {
        Self { buffer: data, ended: true, ..Self::default() }
    }

    /// A body that has to be asked for.
    pub(crate) fn to_come() -> Self {
        Self::default()
    }

    /// Whether nothing has been asked for yet of a body that has to be.
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
            return Err(ask(wanted - self.available()));
        }
        Ok(self.take(wanted.min(self.available())))
    }

    /// Takes a line with its line feed, at most `limit` bytes of it, or what is left at the end. `Err` says how much to ask for first.
    pub(crate) fn read_line(&mut self, limit: Option<usize>) -> Result<Vec<u8>, u32> {
        let limit = limit.unwrap_or(usize::MAX);
        let unread = &self.buffer[self.at..];
        let from = self.searched.saturating_sub(self.at).min(unread.len());
        let line = unread[from..].iter().position(|b| *b == b'\n').map(|n| from + n + 1);
        let length = line.unwrap_or(usize::MAX).min(limit);
        if length > unread.len() && !self.ended {
            self.searched = self.buffer.len();
            return Err(ask(READ_AHEAD));
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

    /// Adds a piece that has arrived; `None` is the end.
    pub(crate) fn arrived(&mut self, piece: Option<Vec<u8>>) {
        self.asked = true;
        let Some(piece) = piece else {
            self.ended = true;
            return;
        };
        self.buffer.drain(..self.at);
        self.searched = self.searched.saturating_sub(self.at);
        self.at = 0;
        if self.buffer.is_empty() {
            self.buffer = piece;
        } else {
            self.buffer.extend_from_slice(&piece);
        }
    }
}

fn ask(missing: usize) -> u32 {
    missing.clamp(READ_AHEAD, limits::PULL as usize) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(data: &[&[u8]]) -> impl FnMut() -> Option<Vec<u8>> {
        let mut pieces: Vec<Vec<u8>> = data.iter().rev().map(|p| p.to_vec()).collect();
        move || pieces.pop()
    }

    fn all(
        body: &mut Body,
        next: &mut impl FnMut() -> Option<Vec<u8>>,
        step: impl Fn(&mut Body) -> Result<Vec<u8>, u32>,
    ) -> Vec<u8> {
        loop {
            match step(body) {
                Ok(data) => return data,
                Err(_) => body.arrived(next()),
            }
        }
    }

    #[test]
    fn reads_continue_where_the_last_one_stopped_however_the_pieces_were_cut() {
        let text = b"one\ntwo-three\nfour\nfive";
        for size in 1..text.len() {
            let cut: Vec<&[u8]> = text.chunks(size).collect();
            let (mut body, mut next) = (Body::to_come(), pieces(&cut));
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
    fn nothing_is_asked_for_that_is_not_needed() {
        let mut body = Body::to_come();
        assert_eq!(body.read(Some(0)), Ok(vec![]));
        assert_eq!(body.read(Some(10)), Err(READ_AHEAD as u32));
        assert_eq!(body.read(None), Err(limits::PULL));
        body.arrived(Some(b"abc\n".to_vec()));
        assert_eq!(body.read_line(Some(2)), Ok(b"ab".to_vec()));
        assert_eq!(body.read_line(None), Ok(b"c\n".to_vec()));
        assert_eq!(Body::whole(b"x".to_vec()).read(None), Ok(b"x".to_vec()));
    }
}
