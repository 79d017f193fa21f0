//! What a child is told of content, and what it finds.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use wsgi_unix::fork::mapped::Mapped;
use wsgi_wire::ring::Counts;

use super::super::{MANY, SHARED, SOON};
use super::*;
use crate::workers::response_right::ResponseRight;

/// A queue and the other end of its socket, which has to stay open.
fn outgoing() -> (Outgoing, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut outgoing = Outgoing::new(Arc::new(ResponseRight::new(OwnedFd::from(ours).into())), None);
    outgoing.request_begins(1);
    (outgoing, theirs)
}

/// The memory as the child has it, once it has been made.
fn child(outgoing: &Outgoing) -> Mapped {
    Mapped::new(outgoing.descriptors[0].1.as_fd(), ring::SIZE).unwrap()
}

/// Takes the frames that are queued; of content the length.
fn frames(outgoing: &mut Outgoing) -> Vec<(Kind, usize)> {
    let queued = std::mem::take(&mut outgoing.queued);
    let mut rest = &*queued;
    std::iter::from_fn(|| {
        let frame = frame::first(rest).unwrap()?;
        rest = &rest[frame.size()..];
        let told = || u32::from_bytes(frame.payload).unwrap() as usize;
        Some((frame.kind, if frame.kind == Kind::Filled { told() } else { frame.payload.len() }))
    })
    .collect()
}

#[test]
fn a_child_that_has_been_told_of_content_finds_what_follows() {
    let (mut outgoing, _child) = outgoing();
    let piece = [b'x'; SHARED];
    outgoing.data(&piece);
    let child = child(&outgoing);
    assert_eq!(frames(&mut outgoing), [(Kind::Ring, 0), (Kind::Filled, SHARED)]);
    outgoing.data(&piece);
    outgoing.data(b"short");
    assert_eq!(frames(&mut outgoing), []);
    assert_eq!(Counts::new(child.words()).look_last(SHARED as u32) as usize, SHARED + 5);
    outgoing.data(b"more");
    assert_eq!(frames(&mut outgoing), [(Kind::Filled, SHARED + 9)], "with what has been found by now");
    outgoing.data(b"the last");
    outgoing.put(Kind::Pull, |out| 1u32.put(out));
    assert_eq!(frames(&mut outgoing), [(Kind::Filled, 8), (Kind::Pull, 4)], "other frames come behind it");
}

#[test]
fn among_other_content_each_piece_is_told_of() {
    let (mut outgoing, _child) = outgoing();
    outgoing.data(b"short");
    assert_eq!(frames(&mut outgoing), [(Kind::Data, 5)]);
    outgoing.data(&[b'x'; SHARED]);
    outgoing.data(&vec![b'x'; ring::ROOM - SHARED - 1]);
    outgoing.data(b"does not fit");
    let rest = ring::ROOM - SHARED - 1;
    let told = [(Kind::Ring, 0), (Kind::Filled, SHARED), (Kind::Filled, rest), (Kind::Data, 12)];
    assert_eq!(frames(&mut outgoing), told);
    Counts::new(child(&outgoing).words()).take(ring::ROOM as u32 - 1);
    outgoing.data(&[b'x'; SHARED]);
    outgoing.data(&[b'x'; SHARED]);
    outgoing.data(b"short");
    assert_eq!(frames(&mut outgoing), [(Kind::Filled, SHARED), (Kind::Filled, SHARED), (Kind::Data, 5)]);
}

#[test]
fn short_pieces_go_the_same_way_once_many_have_come_one_soon_after_the_other() {
    let (mut outgoing, _child) = outgoing();
    for _ in 0..2 * MANY {
        outgoing.data(b"waits");
        std::thread::sleep(SOON);
    }
    assert_eq!(frames(&mut outgoing), [(Kind::Data, 5); 2 * MANY as usize]);
    // The machine may be busy in between.
    let quick = (0..1_000_000).find(|_| {
        outgoing.data(b"quick");
        outgoing.ring.is_some()
    });
    assert!(quick.is_some_and(|number| number >= MANY));
    let sent = frames(&mut outgoing);
    assert_eq!(sent[sent.len() - 3..], [(Kind::Data, 5), (Kind::Ring, 0), (Kind::Filled, 5)]);
    outgoing.data(b"quick");
    assert_eq!(frames(&mut outgoing), []);
    outgoing.request_begins(2);
    outgoing.data(b"another response");
    assert_eq!(frames(&mut outgoing), [(Kind::Data, 16)]);
}

#[test]
fn what_the_child_finds_it_is_told_of_sooner_or_later() {
    let (mut outgoing, _child) = outgoing();
    outgoing.data(&[b'x'; SHARED]);
    let child = child(&outgoing);
    frames(&mut outgoing);
    let mut untold = 0;
    while frames(&mut outgoing).is_empty() {
        untold += SHARED;
        outgoing.data(&[b'x'; SHARED]);
        Counts::new(child.words()).take((untold + SHARED) as u32);
    }
    assert_eq!(untold, ring::ROOM);
}
