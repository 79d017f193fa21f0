//! What the fuzz targets in `fuzz/` call: every decoder here, and every text that is made of what was decoded. Compiled
//! for them and for the unit tests, which try the corpus.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::codec::Wire;
use crate::control::{Configure, Drain, Draining, Ready, Restart, Restarted, Retiring};
use crate::export::Datagram;
use crate::json::{self, Context};
use crate::names::Name;
use crate::pieces::written;
use crate::question::Answer;
use crate::record::{LocalTime, LogRecord};
use crate::recorder::{self, Recording};
use crate::report::{GroupRecord, ProcessRecord};
use crate::request::{self, BodyError, Hello, Request, Route};
use crate::response::{self, Fail, File, Head, Headers};
use crate::scoreboard::Scoreboard;
use crate::settings::{Daemon, Preload};
use crate::status::Status;
use crate::table::{self, Entry, Need, Page, Slot, State};
use crate::websocket::{self, Accept, Close};
use crate::{environment, frame, text};

/// What a target does with its input. It panics where a promise is broken.
pub type Target = fn(&[u8]);

/// All targets by the names of their directories in `fuzz/corpus`.
pub const TARGETS: &[(&str, Target)] = &[
    ("frames", frames),
    ("messages", messages),
    ("records", records),
    ("recorder", recorder),
    ("table", table),
    ("environment", environment),
];

/// Reads a stream of frames in either direction of a connection.
pub fn frames(data: &[u8]) {
    let mut rest = data;
    while let Ok(Some(found)) = frame::first(rest) {
        assert_eq!(frame::needed(rest), found.size());
        payload(found.payload);
        rest = &rest[found.size()..];
    }
    payload(data);
}

/// Reads a payload that is accepted to its end, and checks that it would be written the same way.
fn payload(data: &[u8]) {
    if let Ok(route) = Route::decode(data) {
        let mut again = route.id.to_bytes();
        request::put_route(&mut again, route.script, route.application_group, route.callable, route.rules, |writer| {
            route.vars.clone().flatten().for_each(|(name, value)| writer.push(name, value));
        });
        // A known name may be spelled.
        assert!(again.len() <= data.len() && Route::decode(&again).is_ok());
    }
    if let Ok(found) = Request::decode(data) {
        for variable in found.vars.clone() {
            assert!(variable.is_ok_and(|(name, _)| Name::of(name.text()).text() == name.text()));
        }
        let mut again = Vec::new();
        request::put_request(&mut again, &found.facts, found.purpose, |writer| {
            found.vars.clone().flatten().for_each(|(name, value)| writer.push(name, value));
        });
        assert_eq!(again, data);
    }
    if let Ok(head) = Head::decode(data) {
        let mut again = Vec::new();
        response::put_head(&mut again, head.status, head.reason, head.headers.clone().flatten());
        assert_eq!(again, data);
    }
    if let Ok(hints) = Headers::decode(data) {
        let mut again = Vec::new();
        response::put_headers(&mut again, hints.clone().flatten());
        assert_eq!(again, data);
    }
    if let Ok(accept) = Accept::decode(data) {
        let mut again = Vec::new();
        websocket::put_accept(&mut again, accept.subprotocol, accept.headers.clone().flatten());
        assert_eq!(again, data);
        assert!(accept.headers.flatten().all(|(name, _)| websocket::may_be_added(name)));
    }
}

/// Reads the messages of control sockets and the small ones of connections, and checks that there is one encoding for
/// each value.
pub fn messages(data: &[u8]) {
    fn canonical<T: Wire>(data: &[u8]) {
        if let Ok(message) = T::from_bytes(data) {
            assert_eq!(message.to_bytes(), data, "a message is what was written");
        }
    }
    canonical::<Configure>(data);
    canonical::<Daemon>(data);
    canonical::<Preload>(data);
    canonical::<Drain>(data);
    canonical::<Draining>(data);
    canonical::<Ready>(data);
    canonical::<Retiring>(data);
    canonical::<Restart>(data);
    canonical::<Restarted>(data);
    canonical::<Status>(data);
    canonical::<Hello>(data);
    canonical::<BodyError>(data);
    canonical::<File>(data);
    canonical::<Fail>(data);
    canonical::<Close>(data);
    canonical::<Answer>(data);
    canonical::<LogRecord>(data);
    canonical::<ProcessRecord>(data);
    canonical::<GroupRecord>(data);
    canonical::<Scoreboard>(data);
    canonical::<Datagram>(data);
}

/// Makes lines of a record of the application's.
pub fn records(data: &[u8]) {
    let Ok(record) = LogRecord::from_bytes(data) else { return };
    let at = LocalTime::at(Duration::from_secs(1_767_225_600), 0);
    let lines = text::lines(at, &record, b"");
    assert_eq!(lines.lines().count(), text::texts(&record).len(), "no text forges a line");
    assert!(lines.chars().all(|c| c == '\n' || !c.is_control()), "no text controls a terminal");
    assert!(lines.len() <= record.cost(0), "what a record takes in the log has been counted");
    let context = Context { process_group: Some(data), ..Context::default() };
    let rendered = json::lines(at, &record, &context);
    let length: usize = rendered.iter().map(String::len).sum();
    assert!(length <= record.cost(written(data)), "so has what it takes there as JSON");
    for line in rendered {
        assert_eq!(line.lines().count(), 1, "a record is a line");
        assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok(), "a line is JSON");
    }
    let _ = record.headline();
}

/// Reads what an application has left in the flight recorder of its process.
pub fn recorder(data: &[u8]) {
    let threads = 2;
    let mut file = data[..data.len().min(recorder::size(threads))].to_vec();
    assert_eq!(Recording::read(&file, threads).is_ok(), file.len() == recorder::size(threads));
    file.resize(recorder::size(threads), 0);
    // The text of a short input is the report, too.
    let report = data.len().min(recorder::REPORT);
    file[recorder::report_offset(threads)..][..report].copy_from_slice(&data[..report]);
    let Ok(recording) = Recording::read(&file, threads) else { panic!("a file of this length is read") };
    assert!(recording.activities.len() <= recorder::entries(threads));
    let told = recorder::list(&recording.activities, 1e9);
    assert!(told.len() <= recorder::entries(threads) * 4 * recorder::ENTRY, "little is told of an entry");
}

/// Takes steps of Apache children, the supervisor and a hostile daemon in the process table.
pub fn table(data: &[u8]) {
    let memory: [(Entry, Page); 4] = Default::default();
    let slot = |number: u8| {
        let (entry, page) = &memory[usize::from(number) % memory.len()];
        Slot { entry, page }
    };
    let groups = [table::group_key(b"one"), table::group_key(b"two")];
    let mut claims: Vec<(Slot<'_>, u32)> = Vec::new();
    for step in data.chunks_exact(3) {
        let (group, place) = (groups[usize::from(step[1]) % 2], slot(step[1] >> 1));
        let threads = u32::from(step[2] % 4);
        match step[0] % 8 {
            0 => place.occupy(group, threads, 1),
            1 => place.admit(),
            2 => place.set_state(State::try_from(step[2] % 5).unwrap_or(State::Free)),
            // All that an application can do is to write into its page.
            3 => place.page.in_flight.store(u32::from(step[2]) << 24, Relaxed),
            4 => place.page.busy.store(u32::from(step[2]) << 24, Relaxed),
            5 => [Page::hold, Page::resume, Page::leave][usize::from(step[2]) % 3](place.page),
            6 => {
                let need = [Need::Free, Need::Idle, Need::Any][usize::from(step[2]) % 3];
                let slots = memory.iter().map(|(entry, page)| Slot { entry, page });
                if let Some(index) = table::claim(slots, group, &[usize::from(step[2] >> 4)], need, 0) {
                    let (entry, page) = &memory[index];
                    let claimed = Slot { entry, page };
                    assert!(claimed.is_of(group), "a request goes to its own group");
                    assert_eq!(claimed.state(), State::Ready, "and to a process that takes requests");
                    assert_ne!(index, usize::from(step[2] >> 4), "not to one that has turned it away");
                    claims.push((claimed, entry.serial.load(Relaxed)));
                }
            }
            _ => {
                if let Some((claimed, serial)) = claims.pop() {
                    let before = claimed.page.in_flight.load(Relaxed);
                    table::answered(claimed, serial);
                    table::release(claimed, serial);
                    let after = claimed.page.in_flight.load(Relaxed);
                    assert!(after == before || after + 1 == before, "a counter goes down by one, and never below zero");
                }
            }
        }
        let _ = (place.taken(), place.waiting(), place.entry.is_free());
    }
}

/// Reads the text of an `env-file`.
pub fn environment(data: &[u8]) {
    let mut found = Vec::new();
    let outcome = environment::read(data, |name, value| found.push((name.to_vec(), value.to_vec())));
    for (name, value) in &found {
        assert_eq!(environment::check(name, value), Ok(()), "what is read may be set");
        assert!(value.len() <= data.len());
        assert_eq!(environment::assignment(&[name, &b"="[..], value].concat()), Ok((&name[..], &value[..])));
    }
    if let Err((line, _)) = outcome {
        assert!((1..=data.split(|byte| *byte == b'\n').count()).contains(&line), "an error names a line of the file");
    }
}

#[cfg(test)]
#[path = "../../fuzz/corpus.rs"]
mod corpus;

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether bytes are a message of a kind.
    type IsOne = fn(&[u8]) -> bool;

    const KINDS: [(&str, IsOne); 20] = [
        ("Configure", |data| Configure::from_bytes(data).is_ok()),
        ("Daemon", |data| Daemon::from_bytes(data).is_ok()),
        ("Preload", |data| Preload::from_bytes(data).is_ok()),
        ("Drain", |data| Drain::from_bytes(data).is_ok()),
        ("Draining", |data| Draining::from_bytes(data).is_ok()),
        ("Ready", |data| Ready::from_bytes(data).is_ok()),
        ("Retiring", |data| Retiring::from_bytes(data).is_ok()),
        ("Restart", |data| Restart::from_bytes(data).is_ok()),
        ("Restarted", |data| Restarted::from_bytes(data).is_ok()),
        ("Status", |data| Status::from_bytes(data).is_ok()),
        ("Hello", |data| Hello::from_bytes(data).is_ok()),
        ("BodyError", |data| BodyError::from_bytes(data).is_ok()),
        ("File", |data| File::from_bytes(data).is_ok()),
        ("Fail", |data| Fail::from_bytes(data).is_ok()),
        ("Answer", |data| Answer::from_bytes(data).is_ok()),
        ("LogRecord", |data| LogRecord::from_bytes(data).is_ok()),
        ("ProcessRecord", |data| ProcessRecord::from_bytes(data).is_ok()),
        ("GroupRecord", |data| GroupRecord::from_bytes(data).is_ok()),
        ("Scoreboard", |data| Scoreboard::from_bytes(data).is_ok()),
        ("Datagram", |data| Datagram::from_bytes(data).is_ok()),
    ];

    /// A message of each kind, by its name: the shortest run of one small number that is one.
    fn known() -> Vec<(&'static str, Vec<u8>)> {
        let shortest = |is_one: IsOne| {
            let runs = (0..1024).flat_map(|length| (0..3).map(move |byte| vec![byte; length]));
            runs.into_iter().find(|run| is_one(run))
        };
        KINDS.iter().filter_map(|(kind, is_one)| Some((*kind, shortest(*is_one)?))).collect()
    }

    proptest::proptest! {
        #[test]
        fn a_changed_message_is_another_or_none(
            which in proptest::prelude::any::<proptest::sample::Index>(),
            changes in proptest::collection::vec((proptest::prelude::any::<proptest::sample::Index>(), proptest::num::u8::ANY), 1..6),
            cut in proptest::prelude::any::<proptest::sample::Index>(), more in proptest::collection::vec(proptest::num::u8::ANY, 0..8),
        ) {
            let known = known();
            let mut message = which.get(&known).1.clone();
            for (at, byte) in changes {
                if !message.is_empty() {
                    let at = at.index(message.len());
                    message[at] = byte;
                }
            }
            messages(&message);
            records(&message);
            message.truncate(cut.index(message.len() + 1));
            message.extend(more);
            messages(&message);
        }
    }

    #[test]
    fn a_message_of_every_kind_is_changed() {
        let known: Vec<_> = known().iter().map(|(kind, _)| *kind).collect();
        assert_eq!(known, KINDS.map(|(kind, _)| kind));
    }
}
