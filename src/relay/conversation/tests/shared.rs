//! Content that comes through memory, which process and child share.

use wsgi_unix::fork::mapped::Mapped;
use wsgi_unix::shared_memory;
use wsgi_wire::ring::{self, Counts};

use super::*;

/// A `Filled` frame.
fn filled(length: usize) -> Vec<u8> {
    frame_of(Kind::Filled, &(length as u32).to_bytes())
}

#[test]
fn what_is_in_shared_memory_has_its_place_among_the_other_frames() {
    let file = shared_memory::create(c"test", ring::SIZE).unwrap();
    let mut memory = Mapped::new(&file, ring::SIZE).unwrap();
    memory.write(ring::START, b"one three five");
    let mut client = Recorder::default();
    let outcome = converse(&mut client, |mut daemon| {
        send_with(&daemon, &frame_of(Kind::Ring, b""), &[file.as_fd()]);
        let frames = [head(200), filled(4), data("two "), filled(6), data("four "), filled(4), end(End::Complete)];
        daemon.write_all(&frames.concat()).unwrap();
    });
    assert_eq!(outcome, Outcome::Complete);
    assert_eq!(client.events[1..], ["one  More", "two  More", "three  More", "four  More", "five End"]);
    assert_eq!(Counts::new(memory.words()).room(10), ring::ROOM, "what has been passed down is given back");
}

#[test]
fn shared_memory_that_is_none_or_comes_twice_ends_the_conversation() {
    let file = shared_memory::create(c"test", ring::SIZE).unwrap();
    let ring = frame_of(Kind::Ring, b"");
    let outcome = |offers: usize, frames: &[Vec<u8>]| {
        converse(&mut Recorder::default(), |mut daemon| {
            (0..offers).for_each(|_| send_with(&daemon, &ring, &[file.as_fd()]));
            // The other end may have closed by now.
            let _ = daemon.write_all(&frames.concat());
            until_closed(daemon);
        })
    };
    assert_eq!(outcome(0, std::slice::from_ref(&ring)), Outcome::Violated(Violation::NoDescriptor, false));
    assert_eq!(outcome(2, &[]), Outcome::Violated(Violation::OutOfPlace(Kind::Ring), false));
    assert_eq!(outcome(0, &[head(200), filled(4)]), Outcome::Violated(Violation::OutOfPlace(Kind::Filled), true));
    assert_eq!(outcome(1, &[filled(4)]), Outcome::Violated(Violation::OutOfPlace(Kind::Filled), false));
    assert_eq!(outcome(1, &[head(200), filled(0)]), Outcome::Violated(Violation::Filled, true));
}
