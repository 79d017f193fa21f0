use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const PLAIN: Settings = Settings { max_size: 1 << 20, ping_interval: None, ping_timeout: None, is_deflate: false };

/// A session, what its client has been sent and what its application has been told.
struct Both {
    session: Session,
    codec: Codec,
    out: Vec<u8>,
    told: Vec<Heard>,
    now: Instant,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Heard {
    Message(Kind, Vec<u8>),
    Piece(Kind, Vec<u8>),
    Closed(u16, String),
}

impl Both {
    fn new(settings: Settings) -> Self {
        let now = Instant::now();
        Self { session: Session::new(settings, now), codec: Codec::default(), out: vec![], told: vec![], now }
    }

    fn client(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        let told = &mut self.told;
        self.session.receive(&mut bytes.to_vec(), self.now, &mut self.codec, &mut self.out, &mut |said| {
            hear(told, &said);
        })
    }

    fn tick(&mut self, after: Duration) {
        self.now += after;
        let told = &mut self.told;
        self.session.tick(self.now, &mut self.out, &mut |said| hear(told, &said));
    }

    /// The frames that the client has been sent since it was last asked.
    fn sent(&mut self) -> Vec<(Opcode, bool, Vec<u8>)> {
        let bytes = std::mem::take(&mut self.out);
        let frames = frame::of_server(&bytes).into_iter();
        frames.map(|(header, payload)| (header.opcode, header.is_last, payload.to_vec())).collect()
    }
}

fn hear(told: &mut Vec<Heard>, said: &Event<'_>) {
    match said {
        Event::Piece(kind, piece, is_last) => {
            let mut message = match told.last() {
                Some(Heard::Piece(_, begun)) => begun.clone(),
                _ => Vec::new(),
            };
            if matches!(told.last(), Some(Heard::Piece(..))) {
                told.pop();
            }
            message.extend_from_slice(piece);
            told.push(if *is_last { Heard::Message(*kind, message) } else { Heard::Piece(*kind, message) });
        }
        Event::Closed(close) => told.push(Heard::Closed(close.code, close.reason.clone())),
    }
}

/// A client's frame.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::put_header(&mut bytes, Opcode::Text, true, false, payload.len());
    (bytes[0], bytes[1]) = (first, bytes[1] | 0x80);
    let key = [3, 1, 4, 15];
    bytes.extend_from_slice(&key);
    let at = bytes.len();
    bytes.extend_from_slice(payload);
    frame::mask(&mut bytes[at..], key, 0);
    bytes
}

fn text(said: &str) -> Heard {
    Heard::Message(Kind::Text, said.as_bytes().to_vec())
}

fn closed(code: u16) -> Heard {
    Heard::Closed(code, String::new())
}

#[test]
fn control_frames_may_stand_inside_of_a_message() {
    let mut both = Both::new(PLAIN);
    for bytes in [frame(0x01, b"Gr\xc3"), frame(0x89, b"there?"), frame(0x8a, b""), frame(0x80, b"\xbc\xc3\x9fe")] {
        both.client(&bytes).unwrap();
    }
    assert_eq!(both.told, [text("Gr\u{fc}\u{df}e")]);
    assert_eq!(both.sent(), [(Opcode::Pong, true, b"there?".to_vec())]);
}

#[test]
fn a_close_of_the_client_is_answered_and_nothing_follows_it() {
    let mut both = Both::new(PLAIN);
    both.client(&[frame(0x88, b"\x0f\xa0bye"), frame(0x81, b"late")].concat()).unwrap();
    assert_eq!(both.told, [Heard::Closed(4000, "bye".into())]);
    assert_eq!(both.sent(), [(Opcode::Close, true, 4000u16.to_be_bytes().to_vec())]);
    assert!(both.session.is_over() && both.session.deadline().is_none());
    both.session.send(Kind::Text, b"late", true, &mut both.codec, &mut both.out).unwrap();
    both.client(&frame(0x81, b"late")).unwrap();
    both.session.lost(&mut |_| panic!("the application has been told"));
    assert!(both.out.is_empty());
    let mut both = Both::new(PLAIN);
    both.client(&frame(0x88, b"")).unwrap();
    assert_eq!((both.told.as_slice(), both.out.as_slice()), (&[closed(close::NO_CODE)][..], &[0x88, 0][..]));
}

#[test]
fn what_the_client_must_not_do_ends_the_session_with_its_code() {
    for (bytes, code) in [
        (frame(0x83, b""), 1002),
        (frame(0x80, b"continued"), 1002),
        ([frame(0x01, b"one"), frame(0x81, b"two")].concat(), 1002),
        (frame(0xc1, b"compressed"), 1002),
        (frame(0x88, b"\x03"), 1002),
        (frame(0x88, b"\x03\xec"), 1002),
        (frame(0x88, b"\x03\xe8\xff"), 1007),
        (frame(0x81, b"\xff"), 1007),
        (frame(0x01, b"\xed\xa0"), 1007),
        (frame(0x81, b"half \xc3"), 1007),
        (frame(0x82, &[0; (1 << 20) + 1]), 1009),
        ([frame(0x02, &[0; 1 << 19]), frame(0x00, &[0; 1 << 19]), frame(0x00, b"1")].concat(), 1009),
    ] {
        let mut both = Both::new(PLAIN);
        let violation = both.client(&bytes).unwrap_err();
        assert_eq!(violation.code(), code, "{violation}");
        assert_eq!(both.told.last(), Some(&closed(code)));
        assert_eq!(both.sent(), [(Opcode::Close, true, code.to_be_bytes().to_vec())]);
        assert!(both.session.is_over());
    }
}

#[test]
fn a_large_message_is_handed_on_in_pieces_that_take_little_memory() {
    let mut both = Both::new(PLAIN);
    let message: Vec<u8> = (0..1 << 20).map(|at: u32| (at >> 8) as u8).collect();
    let mut pieces = Vec::new();
    for bytes in frame(0x82, &message).chunks(9_000) {
        let take = &mut |told: Event<'_>| match told {
            Event::Piece(Kind::Binary, piece, is_last) => pieces.push((piece.to_vec(), is_last)),
            told => panic!("{told:?}"),
        };
        both.session.receive(&mut bytes.to_vec(), both.now, &mut both.codec, &mut both.out, take).unwrap();
    }
    assert!(pieces.len() > 10 && pieces.iter().all(|(piece, _)| piece.len() < 80_000));
    assert!(pieces.iter().rev().skip(1).all(|(_, is_last)| !is_last) && pieces.last().unwrap().1);
    assert_eq!(pieces.into_iter().flat_map(|(piece, _)| piece).collect::<Vec<_>>(), message);
}

#[test]
fn messages_travel_compressed_both_ways_where_that_is_settled() {
    let mut both = Both::new(Settings { is_deflate: true, ..PLAIN });
    let said = "compressible ".repeat(100);
    both.session.send(Kind::Text, said.as_bytes(), true, &mut both.codec, &mut both.out).unwrap();
    assert_eq!(both.out[0], 0xc1);
    let payload = both.sent().remove(0).2;
    assert!(payload.len() < 100);
    let (head, tail) = payload.split_at(9);
    both.client(&[frame(0x41, head), frame(0x89, b""), frame(0x80, tail)].concat()).unwrap();
    assert_eq!(both.told, [text(&said)]);
    // One that is short, and one in pieces.
    both.out.clear();
    both.session.send(Kind::Text, b"short", true, &mut both.codec, &mut both.out).unwrap();
    both.session.send(Kind::Binary, &[0; 500], false, &mut both.codec, &mut both.out).unwrap();
    both.session.send(Kind::Binary, &[0; 500], true, &mut both.codec, &mut both.out).unwrap();
    let frames: Vec<_> = both.sent().into_iter().map(|(opcode, is_last, part)| (opcode, is_last, part.len())).collect();
    assert_eq!(frames, [(Opcode::Text, true, 5), (Opcode::Binary, false, 500), (Opcode::Continuation, true, 500)]);
    assert_eq!(both.client(&[frame(0x41, b"a"), frame(0xc0, b"b")].concat()).unwrap_err().code(), 1002);
}

#[test]
fn what_an_application_must_not_send_ends_the_session() {
    let fails = |act: &dyn Fn(&mut Both) -> Result<(), Fault>, fault| {
        let mut both = Both::new(PLAIN);
        assert_eq!(act(&mut both), Err(fault));
        assert_eq!(both.sent().pop(), Some((Opcode::Close, true, 1011u16.to_be_bytes().to_vec())));
        assert!(both.session.is_over());
    };
    let send = |both: &mut Both, kind, piece: &[u8], is_last| {
        both.session.send(kind, piece, is_last, &mut both.codec, &mut both.out)
    };
    fails(&|both| send(both, Kind::Text, b"\xff", true), Fault::Text);
    fails(&|both| send(both, Kind::Text, b"\xc3", true), Fault::Text);
    fails(&|both| send(both, Kind::Text, b"a", false).and_then(|()| send(both, Kind::Binary, b"b", true)), Fault::Kind);
    for code in [0, 999, 1005, 1006, 5000] {
        fails(&|both| both.session.close(&Close::with_code(code), both.now, &mut both.out), Fault::Close);
    }
    let long = Close { code: 1000, reason: "x".repeat(124) };
    fails(&|both| both.session.close(&long, both.now, &mut both.out), Fault::Close);
}

#[test]
fn a_client_that_does_not_answer_a_close_has_ten_seconds() {
    let mut both = Both::new(PLAIN);
    both.session.close(&Close::with_code(1012), both.now, &mut both.out).unwrap();
    both.client(&[frame(0x81, b"still talking"), frame(0x89, b"")].concat()).unwrap();
    both.tick(9 * SECOND);
    assert!(!both.session.is_over() && both.told.is_empty());
    assert_eq!(both.sent(), [(Opcode::Close, true, 1012u16.to_be_bytes().to_vec())]);
    both.tick(SECOND);
    assert!(both.session.is_over() && both.out.is_empty());

    let mut both = Both::new(PLAIN);
    both.session.close(&Close::with_code(1000), both.now, &mut both.out).unwrap();
    both.client(&frame(0x88, &1000u16.to_be_bytes())).unwrap();
    assert!(both.session.is_over() && both.told.is_empty());
}

#[test]
fn a_silent_client_is_pinged_and_given_up() {
    let settings = Settings { ping_interval: Some(20 * SECOND), ping_timeout: Some(5 * SECOND), ..PLAIN };
    let mut both = Both::new(settings);
    both.tick(19 * SECOND);
    assert!(both.out.is_empty());
    both.tick(SECOND);
    assert_eq!(both.sent(), [(Opcode::Ping, true, vec![])]);
    both.tick(4 * SECOND);
    both.client(&frame(0x8a, b"")).unwrap();
    both.tick(19 * SECOND);
    assert!(both.out.is_empty());
    both.tick(SECOND);
    both.tick(5 * SECOND);
    assert_eq!(both.told, [Heard::Closed(1011, "keepalive ping timeout".into())]);
    assert!(both.session.is_over());

    let mut patient = Both::new(Settings { ping_timeout: None, ..settings });
    patient.tick(20 * SECOND);
    patient.tick(10_000 * SECOND);
    assert_eq!((patient.sent().len(), patient.session.is_over()), (1, false));
}

#[test]
fn a_lost_connection_is_a_close_that_nobody_sent() {
    let mut both = Both::new(PLAIN);
    both.client(&frame(0x01, b"half")).unwrap();
    let told = &mut both.told;
    both.session.lost(&mut |said| hear(told, &said));
    assert_eq!(both.told.last(), Some(&closed(close::LOST)));
}

proptest! {
    #[test]
    fn messages_are_the_same_however_their_bytes_come(
        messages in proptest::collection::vec(("\\PC{0,40}", 1..200usize, 1..4usize), 1..5),
        size in 1..3000usize,
    ) {
        let mut bytes = Vec::new();
        let mut expected = Vec::new();
        for (said, times, parts) in messages {
            let message = said.repeat(times);
            let length = message.len().div_ceil(parts).max(1);
            let mut cut: Vec<&[u8]> = message.as_bytes().chunks(length).collect();
            if cut.is_empty() {
                cut.push(b"");
            }
            for (at, part) in cut.iter().enumerate() {
                let last = if at + 1 == cut.len() { 0x80 } else { 0 };
                bytes.extend(frame(last | u8::from(at == 0), part));
            }
            expected.push(Heard::Message(Kind::Text, message.into_bytes()));
        }
        let mut both = Both::new(PLAIN);
        for piece in bytes.chunks(size) {
            both.client(piece).unwrap();
        }
        prop_assert_eq!(both.told, expected);
    }
}
