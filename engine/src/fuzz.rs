//! What the fuzz targets in `fuzz/` call: everything of the engine that reads bytes of an Apache child, of the
//! supervisor or of an application, without Python. Compiled for them and for the unit tests, which try the corpus.

#[cfg(fuzzing)]
mod connection;
mod socket;

use std::os::fd::OwnedFd;

use wsgi_wire::lines::Lines;

use crate::daemon::control::Control;
use crate::fuzz::socket::socket;
use crate::request::body::Body;
use crate::request::response::Response;
use crate::request::response_head::Head;

/// What a target does with its input. It panics where a promise is broken.
pub type Target = fn(&[u8]);

/// All targets by the names of their directories in `fuzz/corpus`.
pub const TARGETS: &[(&str, Target)] = &[
    ("orders", orders),
    ("body", body),
    ("response", response),
    // Routes hold objects of Python, which the unit tests are not linked with.
    #[cfg(fuzzing)]
    ("connection", connection::connection),
];

/// Reads what the supervisor sends: the settings, then orders.
pub fn orders(data: &[u8]) {
    let Some((_supervisor, ours)) = socket(data) else { return };
    let mut control = Control::new(OwnedFd::from(ours).into());
    if control.settings().is_ok() {
        while control.orders().is_ok() {}
    }
}

/// Reads a request body that comes in pieces; the first byte of the input says how much is read at a time.
pub fn body(data: &[u8]) {
    let Some((how, content)) = data.split_first() else { return };
    let step = usize::from(how >> 1) + 1;
    let (mut body, mut pieces, mut read) =
        (Body::to_come(Some(content.len() as u64 / 2)), content.chunks(step).map(<[u8]>::to_vec), Vec::new());
    loop {
        let outcome = if how & 1 == 0 { body.read(Some(step)) } else { body.read_line(Some(2 * step)) };
        match outcome {
            Ok(piece) if piece.is_empty() => break,
            Ok(piece) => read.extend(piece),
            Err(max) => {
                assert!(max > 0);
                let piece = pieces.next();
                body.place().extend(piece.iter().flatten());
                body.arrived(piece.is_some());
            }
        }
    }
    assert_eq!(read, content, "all of a body is read, in order");
}

/// Takes what an application gives to `start_response` and prints. The input: a status line, then header lines, then
/// text.
pub fn response(data: &[u8]) {
    let mut lines = data.splitn(20, |byte| *byte == b'\n');
    let Ok(mut head) = Head::new(lines.next().unwrap_or_default()) else { return };
    for line in lines.by_ref() {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let _ = head.push(parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    }
    let mut text = Lines::default();
    for piece in data.chunks(7) {
        text.write(piece, data.len() % 3 == 0, &mut |_| {});
        text.flush(&mut |_| {});
    }
    text.end(&mut |_| {});
    let mut response = Response::new(data.len() % 2 == 0);
    response.start(head);
    let Ok(head) = response.commit(Some(data.len() as u64)) else { return };
    for (name, value) in head.headers() {
        assert!(!name.is_empty() && name.iter().all(u8::is_ascii_graphic), "a name is a token");
        assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)), "a value is one line");
    }
    let lengths = head.headers().filter(|(name, _)| name.eq_ignore_ascii_case(b"Content-Length"));
    assert!(lengths.count() <= 1, "there is one length");
}

#[cfg(test)]
#[path = "../../fuzz/corpus.rs"]
mod corpus;
