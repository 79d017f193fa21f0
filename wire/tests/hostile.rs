//! The decoders against arbitrary and mutated bytes: whatever comes, they answer or refuse, and what they accept is
//! what was written.

use proptest::prelude::*;
use wsgi_wire::codec::Bytes;
use wsgi_wire::codec::Wire;
use wsgi_wire::control::{Configure, Drain, Draining, Outcome, Ready, Reason, Restart, Restarted, Retiring};
use wsgi_wire::environment;
use wsgi_wire::frame::{self, Kind};
use wsgi_wire::interface::Interface;
use wsgi_wire::names::Name;
use wsgi_wire::record::LogRecord;
use wsgi_wire::recorder::{self, Recording};
use wsgi_wire::request::{self, Body, Facts, Hello, Purpose, Request, Route};
use wsgi_wire::response::{self, Fail, File, Head, Headers};
use wsgi_wire::scoreboard::{Process, Scoreboard, Worker};
use wsgi_wire::settings::{Daemon, Preload};
use wsgi_wire::websocket::{self, Accept, Close};

fn decode_everything(data: &[u8]) {
    if let Ok(Some(frame)) = frame::first(data) {
        assert!(frame.size() <= data.len());
    }
    if let Ok(route) = Route::decode(data) {
        assert!(route.vars.into_iter().all(|var| var.is_ok()), "variables of an accepted route are all there");
    }
    if let Ok(request) = Request::decode(data) {
        assert!(request.vars.into_iter().all(|var| var.is_ok()), "variables of an accepted request are all there");
    }
    if let Ok(headers) = Headers::decode(data) {
        assert!(headers.count() <= data.len());
    }
    if let Ok(head) = Head::decode(data) {
        assert!(head.headers.into_iter().all(|line| line.is_ok()), "lines of an accepted head are all there");
    }
    if let Ok(accept) = Accept::decode(data) {
        assert!(accept.headers.into_iter().all(|line| line.is_ok()), "lines of an accepted WebSocket are all there");
    }
    let _ = Close::from_bytes(data);
    let _ = Hello::from_bytes(data);
    let _ = File::from_bytes(data);
    let _ = LogRecord::from_bytes(data);
    let _ = Fail::from_bytes(data);
    let _ = Configure::from_bytes(data);
    let _ = Daemon::from_bytes(data);
    let _ = Drain::from_bytes(data);
    let _ = Draining::from_bytes(data);
    let _ = Ready::from_bytes(data);
    let _ = Retiring::from_bytes(data);
    let _ = Preload::from_bytes(data);
    let _ = Restart::from_bytes(data);
    let _ = Restarted::from_bytes(data);
    let _ = Scoreboard::from_bytes(data);
    assert!(Recording::read(data, 1).is_err(), "a recorder's file is longer");
}

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

fn pairs() -> impl Strategy<Value = Pairs> {
    prop::collection::vec((prop::collection::vec(any::<u8>(), 0..20), prop::collection::vec(any::<u8>(), 0..40)), 0..30)
}

/// Lines as a response may have them.
fn lines() -> impl Strategy<Value = Pairs> {
    let line = ("[!#$%&'*+.^_`|~0-9A-Za-z-]{1,13}", "[ -~\t]{0,40}");
    prop::collection::vec(
        line.prop_map(|(name, value): (String, String)| (name.into_bytes(), value.into_bytes())),
        0..30,
    )
}

/// Bytes of which many are just those that separate parts of a head.
fn few_bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![Just(b'a'), Just(b':'), Just(b' '), Just(b'\r'), Just(b'\n'), Just(b'7'), any::<u8>()];
    prop_oneof![prop::collection::vec(byte, 0..6), Just(b"Content-Length".to_vec())]
}

fn request_bytes(vars: &Pairs, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    request::put_request(&mut out, &Facts::default(), Purpose::Response(Body::Inline(body)), |w| {
        vars.iter().for_each(|(name, value)| w.push(Name::of(name), value));
    });
    out
}

fn text() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes)
}

fn reason() -> impl Strategy<Value = Reason> {
    (0u8..32).prop_filter_map("a reason", |number| Reason::try_from(number).ok())
}

prop_compose! {
    fn worker()(
        (thread_num, generation, status, access_count, bytes_served) in any::<(i32, i32, u8, u64, u64)>(),
        (start_time, stop_time, last_used) in (0f64..1e12, 0f64..1e12, 0f64..1e12),
        (client, request, vhost) in (text(), text(), text()),
    ) -> Worker {
        Worker {
            thread_num, generation, status, access_count, bytes_served, start_time, stop_time, last_used, client, request, vhost,
        }
    }
}

prop_compose! {
    fn scoreboard()(
        (server_limit, thread_limit, running_generation) in any::<(u32, u32, i32)>(),
        (restart_time, current_time) in (0f64..1e12, 0f64..1e12),
        workers in prop::collection::vec(prop::collection::vec(worker(), 0..4), 0..4),
        (pid, generation, quiescing) in any::<(i32, i32, bool)>(),
    ) -> Scoreboard {
        let processes = workers.into_iter().map(|workers| Process { pid, generation, quiescing, workers }).collect();
        Scoreboard { server_limit, thread_limit, running_generation, restart_time, current_time, processes }
    }
}

/// A message comes back as it was, no part of it is one, and a changed one is another or none.
fn comes_back<T: Wire + PartialEq + std::fmt::Debug>(
    message: &T,
    at: prop::sample::Index,
    byte: u8,
) -> Result<(), TestCaseError> {
    let written = message.to_bytes();
    let read = T::from_bytes(&written);
    prop_assert_eq!(read.as_ref(), Ok(message));
    prop_assert!((0..written.len()).all(|end| T::from_bytes(&written[..end]).is_err()));
    if !written.is_empty() {
        let mut changed = written.clone();
        changed[at.index(written.len())] ^= byte;
        if let Ok(other) = T::from_bytes(&changed) {
            prop_assert_eq!(other.to_bytes(), changed);
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn what_a_daemon_tells_the_supervisor_comes_back(
        failures in prop::collection::vec(any::<u64>(), 0..20), reason in reason(), holds in any::<bool>(),
        (script, application_group, callable) in (text(), text(), text()), at in any::<prop::sample::Index>(), byte in 1u8..,
    ) {
        comes_back(&Ready { failures, interface: Interface::Asgi }, at, byte)?;
        comes_back(&Retiring { reason, holds }, at, byte)?;
        comes_back(&Draining { reason }, at, byte)?;
        comes_back(&Preload { script, application_group, callable }, at, byte)?;
    }

    #[test]
    fn what_an_administrator_says_and_hears_comes_back(
        name in text(), all in any::<bool>(), outcome in prop::sample::select(&[Outcome::Replaced, Outcome::Failed, Outcome::Unknown][..]),
        at in any::<prop::sample::Index>(), byte in 1u8..,
    ) {
        comes_back(&Restart { group: (!all).then(|| name.clone()) }, at, byte)?;
        comes_back(&Restarted { group: name, outcome }, at, byte)?;
    }

    #[test]
    fn a_scoreboard_comes_back(scoreboard in scoreboard(), at in any::<prop::sample::Index>(), byte in 1u8..) {
        comes_back(&scoreboard, at, byte)?;
    }

    #[test]
    fn whatever_stands_in_a_recorder_is_told_in_lines(
        threads in 0u32..4, words in prop::collection::vec((any::<prop::sample::Index>(), any::<u64>()), 0..40), now in any::<f64>(),
    ) {
        let mut file = vec![0; recorder::size(threads)];
        for (at, word) in words {
            let at = at.index(file.len() / 8) * 8;
            file[at..at + 8].copy_from_slice(&word.to_ne_bytes());
        }
        let recording = Recording::read(&file, threads).unwrap();
        prop_assert!(recording.activities.len() <= recorder::entries(threads));
        prop_assert!(!recorder::list(&recording.activities, now).is_empty());
    }

    #[test]
    fn variables_that_are_quoted_come_back(values in prop::collection::vec("[^\0]{0,30}", 0..6)) {
        let quote = |value: &String| value.replace('\\', "\\\\").replace('"', "\\\"");
        let file: String = values.iter().enumerate().map(|(i, value)| format!("V{i}=\"{}\"\n", quote(value))).collect();
        let mut found = Vec::new();
        environment::read(file.as_bytes(), |_, value| found.push(String::from_utf8(value.to_vec()).unwrap())).unwrap();
        prop_assert_eq!(found, values);
    }

    #[test]
    fn arbitrary_bytes_never_break_a_decoder(data in prop::collection::vec(any::<u8>(), 0..600)) {
        decode_everything(&data);
    }

    #[test]
    fn mutated_messages_never_break_a_decoder(vars in pairs(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let mut data = request_bytes(&vars, b"body");
        let i = at.index(data.len());
        data[i] = byte;
        decode_everything(&data);
        data.truncate(cut.index(data.len()));
        decode_everything(&data);
    }

    #[test]
    fn a_request_is_what_was_written(vars in pairs(), body in prop::collection::vec(any::<u8>(), 0..100)) {
        let data = request_bytes(&vars, &body);
        let request = Request::decode(&data).unwrap();
        let read: Pairs = request.vars.map(|v| v.map(|(n, v)| (n.text().to_vec(), v.to_vec())).unwrap()).collect();
        prop_assert_eq!(read, vars);
        prop_assert_eq!(request.purpose, Purpose::Response(Body::Inline(&body)));
    }

    #[test]
    fn a_head_is_what_was_written(status in 200u16..1000, reason in "[ -~\u{80}-\u{ff}]{0,20}", lines in lines()) {
        let mut data = Vec::new();
        response::put_head(&mut data, status, reason.as_bytes(), lines.iter().map(|(n, v)| (&n[..], &v[..])));
        let head = Head::decode(&data).unwrap();
        prop_assert_eq!((head.status, head.reason), (status, reason.as_bytes()));
        let read: Pairs = head.headers.map(|v| v.map(|(n, v)| (n.to_vec(), v.to_vec())).unwrap()).collect();
        prop_assert_eq!(read, lines);
    }

    #[test]
    fn an_accept_is_what_was_written(name in "[a-z.]{0,20}", lines in lines()) {
        let mut data = Vec::new();
        websocket::put_accept(&mut data, Some(name.as_bytes()), lines.iter().map(|(n, v)| (&n[..], &v[..])));
        let is_allowed = lines.iter().all(|(name, _)| websocket::may_be_added(name));
        let accept = Accept::decode(&data);
        prop_assert_eq!(accept.is_ok(), is_allowed);
        if let Ok(accept) = accept {
            prop_assert_eq!(accept.subprotocol.unwrap_or_default(), name.as_bytes());
            let read: Pairs = accept.headers.map(|v| v.map(|(n, v)| (n.to_vec(), v.to_vec())).unwrap()).collect();
            prop_assert_eq!(read, lines);
        }
    }

    #[test]
    fn a_close_comes_back(code in 1000u16..5000, reason in "[ -~]{0,123}", at in any::<prop::sample::Index>(), byte in 1u8..) {
        comes_back(&Close { code, reason }, at, byte)?;
    }

    #[test]
    fn an_accepted_head_is_one_head(status in any::<u16>(), reason in few_bytes(), lines in prop::collection::vec((few_bytes(), few_bytes()), 0..4)) {
        let mut data = Vec::new();
        response::put_head(&mut data, status, &reason, lines.iter().map(|(n, v)| (&n[..], &v[..])));
        if let Ok(head) = Head::decode(&data) {
            // As a client splits it: no part may hold what ends a line, and no name what ends a name.
            let mut text = head.reason.to_vec();
            let mut lengths = 0;
            for (name, value) in head.headers.map(Result::unwrap) {
                prop_assert!(!name.is_empty() && !name.iter().any(|b| b" :\t".contains(b)));
                lengths += usize::from(name.eq_ignore_ascii_case(b"content-length"));
                text.extend_from_slice(name);
                text.extend(value.iter().filter(|b| **b != b'\t'));
            }
            prop_assert!(!text.iter().any(u8::is_ascii_control));
            prop_assert!((200..1000).contains(&head.status) && lengths <= 1);
            prop_assert_eq!(lengths == 1, head.length.is_some());
        }
    }

    #[test]
    fn frames_split_wherever_the_stream_was_cut(payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 1..8), step in 1usize..40) {
        let mut stream = Vec::new();
        for payload in &payloads {
            frame::put(&mut stream, Kind::Data, |out| out.extend_from_slice(payload)).unwrap();
        }
        let (mut buffer, mut read) = (Vec::new(), Vec::new());
        for piece in stream.chunks(step) {
            buffer.extend_from_slice(piece);
            while let Some(frame) = frame::first(&buffer).unwrap() {
                let size = frame.size();
                read.push(frame.payload.to_vec());
                buffer.drain(..size);
            }
        }
        prop_assert_eq!(read, payloads);
        prop_assert!(buffer.is_empty());
    }
}
