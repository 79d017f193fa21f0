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
    // Behind the first stretch comes other content: only frames tell of the next ones.
    Counts::new(memory.words()).write(4);
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

#[test]
fn what_is_written_while_the_child_is_awake_it_finds_without_a_frame() {
    const PIECE: usize = 1000;
    const PIECES: usize = 5000;
    let file = shared_memory::create(c"test", ring::SIZE).unwrap();
    let mut memory = Mapped::new(&file, ring::SIZE).unwrap();
    let mut client = Recorder::default();
    let mut told = 0;
    let outcome = converse(&mut client, |mut daemon| {
        send_with(&daemon, &[frame_of(Kind::Ring, b""), head(200)].concat(), &[file.as_fd()]);
        let mut untold = 0;
        for piece in 0..PIECES {
            let written = (piece * PIECE) as u32;
            while Counts::new(memory.words()).room(written) < PIECE {
                std::thread::yield_now();
            }
            let content = vec![b'a' + (piece % 26) as u8; PIECE];
            let [first, second] = ring::stretches(written, PIECE);
            memory.write(first.start, &content[..first.len()]);
            memory.write(second.start, &content[first.len()..]);
            untold += PIECE;
            if Counts::new(memory.words()).write(written + PIECE as u32) {
                told += 1;
                daemon.write_all(&filled(untold)).unwrap();
                untold = 0;
            }
            if piece % 100 == 0 {
                std::thread::sleep(Duration::from_micros(200));
            }
        }
        if untold > 0 {
            daemon.write_all(&filled(untold)).unwrap();
        }
        daemon.write_all(&end(End::Complete)).unwrap();
    });
    assert_eq!(outcome, Outcome::Complete);
    let content: String = client.events[1..].iter().filter_map(|event| Some(event.rsplit_once(' ')?.0)).collect();
    assert_eq!(content.len(), PIECES * PIECE);
    let in_order = |(at, byte): (usize, u8)| byte == b'a' + (at / PIECE % 26) as u8;
    assert!(content.bytes().enumerate().all(in_order));
    assert!(told < PIECES, "each of {told} pieces was told of");
}

#[test]
fn all_that_was_found_has_to_be_told_of_before_the_response_ends_or_other_content_comes() {
    for next in [end(End::Complete), data("three"), [data("three"), end(End::Complete)].concat()] {
        let file = shared_memory::create(c"test", ring::SIZE).unwrap();
        let mut memory = Mapped::new(&file, ring::SIZE).unwrap();
        memory.write(ring::START, b"one two ");
        Counts::new(memory.words()).write(8);
        let outcome = converse(&mut Recorder::default(), |mut daemon| {
            send_with(&daemon, &frame_of(Kind::Ring, b""), &[file.as_fd()]);
            let _ = daemon.write_all(&[head(200), filled(4), next].concat());
            until_closed(daemon);
        });
        assert_eq!(outcome, Outcome::Violated(Violation::Filled, true));
    }
}
