//! What the fuzz targets in `fuzz/` call: everything of the Apache half that reads bytes of a daemon process, of a
//! client or of a configuration, without Apache. Compiled for them and for the unit tests, which try the corpus.
#![forbid(unsafe_code)]

use std::io::{IoSlice, Read};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use wsgi_unix::shared_memory;
use wsgi_websocket::deflate::Codec;
use wsgi_websocket::session::Settings;
use wsgi_wire::budget::{Budget, Rate};
use wsgi_wire::frame::{self, Frame, Kind};
use wsgi_wire::record::LogRecord;
use wsgi_wire::request::BodyError;
use wsgi_wire::response::{File, Head, Headers};
use wsgi_wire::websocket::{Accept, may_be_added};
use wsgi_wire::{ring, table};

use crate::directives::group::Group;
use crate::directives::trial;
use crate::policy::words;
use crate::policy::{alias, path, proxies};
use crate::relay::client::{Client, Peer, RequestContext, SendError, Then};
use crate::relay::connection::Connection;
use crate::relay::conversation::{Conversation, ConversationLimits};
use crate::relay::inbox::Inbox;
use crate::relay::outcome::Outcome;
use crate::relay::outflow::Outflow;
use crate::relay::passed;
use crate::relay::records::Source;
use crate::relay::violation::Violation;
use crate::relay::websocket::WebSocket;
use crate::status::question;

/// What a target does with its input. It panics where a promise is broken.
pub type Target = fn(&[u8]);

/// All targets by the names of their directories in `fuzz/corpus`.
pub const TARGETS: &[(&str, Target)] = &[
    ("conversation", conversation),
    ("tunnel", tunnel),
    ("words", words),
    ("directives", directives),
    ("proxies", proxies),
    ("requests", requests),
];

/// How much of an input a conversation takes: the buffer of a socket holds it.
const LONGEST: usize = 32 << 10;

/// A client that holds the relay to the order of a response.
#[derive(Default)]
struct Witness {
    bodies: usize,
    hints: usize,
    headed: bool,
    refused: bool,
    accepted: bool,
    ended: bool,
    gone: bool,
}

impl Witness {
    fn goes_on(&self) {
        assert!(!self.refused && !self.ended && !self.gone, "nothing is passed on after the end of a response");
    }

    /// Takes content of the response. Fails, by what was sent, as if the client had gone.
    fn content(&mut self, content: &[u8]) -> Result<(), SendError> {
        assert!(self.headed, "content comes behind the head");
        self.goes_on();
        self.gone = content.starts_with(b"bye");
        if self.gone { Err(SendError::Gone) } else { Ok(()) }
    }
}

impl RequestContext for Witness {
    fn log(&mut self, record: &LogRecord) {
        let _ = wsgi_wire::text::texts(record);
    }
}

impl Peer for Witness {}

impl Client for Witness {
    fn read_body(&mut self, max: usize, out: &mut Vec<u8>) -> Result<bool, BodyError> {
        assert!(max <= wsgi_wire::limits::PULL as usize);
        self.bodies += 1;
        match self.bodies {
            1 | 2 if max > 0 => out.extend_from_slice(&b"body"[..max.min(4)]),
            3 => return Err(BodyError::TimedOut),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn early_hints(&mut self, headers: Headers<'_>) {
        assert!(!self.headed, "hints come before the head");
        self.hints += 1;
        assert!(self.hints <= wsgi_wire::limits::HINTS, "there is a bound on hints");
        assert!(headers.into_iter().all(|line| line.is_ok()));
    }

    fn head(&mut self, head: &Head<'_>) -> Result<(), u16> {
        assert!(!self.headed, "there is one head");
        self.headed = true;
        let _ = crate::request::response_head::judge(head, false, true);
        self.refused = head.status == 599;
        if self.refused { Err(500) } else { Ok(()) }
    }

    fn accept(&mut self, accept: &Accept<'_>) -> Result<(), SendError> {
        assert!(!self.headed && !self.accepted, "there is one head");
        assert!(accept.headers.clone().flatten().all(|(name, _)| may_be_added(name)));
        self.accepted = true;
        Ok(())
    }

    fn data(&mut self, pieces: &[&[u8]], then: Then) -> Result<(), SendError> {
        self.content(pieces.first().copied().unwrap_or_default())?;
        self.ended = then == Then::End;
        Ok(())
    }

    fn file(&mut self, file: OwnedFd, piece: &File) -> Result<(), SendError> {
        passed::check(file.as_fd(), piece).map_err(Violation::from)?;
        self.content(b"")?;
        self.ended = piece.whole;
        Ok(())
    }
}

/// Has the relay read what a daemon process sends as the answer to a request. Each `File` or `Ring` frame
/// comes with a descriptor.
pub fn conversation(data: &[u8]) {
    let data = &data[..data.len().min(LONGEST)];
    [false, true].into_iter().for_each(|duplex| converse(data, duplex));
}

/// Reads the answer in a conversation in which one side speaks at a time, or, with `duplex`, both do.
fn converse(data: &[u8], duplex: bool) {
    let Ok((mut daemon, child)) = UnixStream::pair() else { return };
    send_as_daemon(&daemon, data);
    // All is there and nothing more comes: whoever waits has misunderstood.
    let ended = daemon.shutdown(Shutdown::Write).is_ok() && child.set_nonblocking(true).is_ok();
    assert!(ended, "a socket pair is shut down");
    let connection = Connection::over(child, 1, 2);
    let (mut inbox, mut client) = (Inbox::default(), Witness::default());
    let (silence, used) = (Duration::ZERO, Budget::new());
    let source = Source { process: 1, used: &used, rate: Rate::of_log(1) };
    let (answered, done, ended) = (&|| {}, &|| {}, &|| true);
    let limits =
        ConversationLimits { flush_delay: Duration::ZERO, queue: None, silence, answered, done, ended, source, duplex };
    let mut outflow = Outflow::default();
    let outcome = Conversation::new(&connection, &mut inbox, &mut client, &mut outflow, limits).run(b"request");
    assert!(outflow.is_empty(), "a client without a socket of its own is waited for");
    match outcome {
        Outcome::Complete => assert!(client.headed && client.ended, "a whole response has a head and an end"),
        Outcome::Truncated | Outcome::Lost(true) | Outcome::TimedOut(true) | Outcome::Violated(_, true) => {
            assert!(client.headed, "{outcome:?} comes behind a head");
        }
        Outcome::Failed(_)
        | Outcome::Rejected(_)
        | Outcome::Lost(false)
        | Outcome::TimedOut(false)
        | Outcome::Violated(_, false) => {
            assert!(!client.headed, "{outcome:?} leaves the response to others");
        }
        Outcome::Refused(_) => assert!(client.refused),
        Outcome::ClientGone => assert!(client.gone),
        Outcome::Unkept(error) => panic!("nothing is kept, and {error}"),
        Outcome::Accepted => assert!(client.accepted && !client.headed, "a WebSocket comes in place of a response"),
        Outcome::WebSocket(..) | Outcome::HandedOver => panic!("nobody carries one here"),
        Outcome::NotExecuted | Outcome::Unread => panic!("{outcome:?} where the process has read the request"),
    }
    let mut sent = Vec::new();
    drop(connection);
    let _ = daemon.read_to_end(&mut sent);
    let mut rest = sent.strip_prefix(b"request").unwrap_or_default();
    while let Ok(Some(frame)) = frame::first(rest) {
        assert!(matches!(frame.kind, Kind::Body | Kind::BodyEnd | Kind::BodyError | Kind::Value));
        rest = &rest[frame.size()..];
    }
    assert!(rest.is_empty(), "the process gets whole frames");
}

/// Has a WebSocket take what its process sends (the first half of the input) and what its client sends (the second), in
/// turn.
pub fn tunnel(data: &[u8]) {
    let (process, client) = data.split_at(data.len() / 2);
    let mut now = Instant::now();
    let settings = Settings {
        max_size: 1000,
        ping_interval: Some(Duration::from_secs(1)),
        ping_timeout: Some(Duration::from_secs(1)),
        is_deflate: data.first().is_some_and(|first| first & 1 != 0),
    };
    static RECORD: LazyLock<table::Group> = LazyLock::new(table::Group::default);
    let mut socket = WebSocket::new(settings, &RECORD, 7, now);
    let mut codec = Codec::default();
    let (mut frames, mut pieces) = (process, client.chunks(50));
    let (mut told, mut closes) = (Vec::new(), 0);
    while !socket.is_over() {
        let frame = frame::first(frames).ok().flatten().map(|frame| Frame { exchange: 7, ..frame });
        let piece = pieces.next();
        if let Some(frame) = frame.filter(|_| socket.reads_process()) {
            frames = &frames[frame.size()..];
            let is_refused = socket.hear_process(frame, &mut codec, now).is_err();
            assert!(!is_refused || socket.is_over(), "nothing follows what is refused");
        }
        if let Some(piece) = piece.filter(|_| socket.reads_client()) {
            socket.hear_client(&mut piece.to_vec(), &mut codec, now);
        } else {
            now += Duration::from_secs(1);
            socket.tick(now);
        }
        told.append(&mut socket.to_process);
        socket.to_client.clear();
    }
    told.append(&mut socket.to_process);
    let mut rest = &told[..];
    while let Ok(Some(frame)) = frame::first(rest) {
        assert!(matches!(frame.kind, Kind::Text | Kind::Binary | Kind::Close) && frame.exchange == 7);
        assert_eq!(closes, 0, "nothing follows the end");
        closes += usize::from(frame.kind == Kind::Close);
        rest = &rest[frame.size()..];
    }
    assert!(rest.is_empty() && closes <= 1, "the process gets whole frames");
}

fn send_as_daemon(daemon: &UnixStream, mut data: &[u8]) {
    let file =
        match memfd_create("response", MemfdFlags::CLOEXEC).and_then(|file| ftruncate(&file, 4096).map(|()| file)) {
            Ok(file) => file,
            Err(error) => panic!("no memory file: {error}"),
        };
    while !data.is_empty() {
        let (size, kind) = match frame::first(data) {
            Ok(Some(frame)) => (frame.size(), Some(frame.kind)),
            _ => (data.len(), None),
        };
        let ring = (kind == Some(Kind::Ring)).then(|| shared_memory::create(c"ring", ring::SIZE).ok()).flatten();
        let descriptors = [ring.as_ref().unwrap_or(&file).as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if matches!(kind, Some(Kind::File | Kind::Ring)) {
            control.push(SendAncillaryMessage::ScmRights(&descriptors));
        }
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        let Ok(sent) = sendmsg(daemon, &[IoSlice::new(&data[..size])], &mut control, flags) else { return };
        data = &data[sent..];
    }
}

/// Cuts a line of a configuration into words and options.
pub fn words(line: &[u8]) {
    let found = words::all(line);
    assert!(found.iter().map(Vec::len).sum::<usize>() <= line.len(), "words are parts of the line");
    for word in &found {
        let quoted = quote(word);
        assert_eq!(words::all(&quoted), std::slice::from_ref(word), "a quoted word comes back");
    }
    let _ = (words::one(line, "one"), words::flag(line));
    let mut rest = line;
    while let Ok(Some(value)) = words::option(&mut rest, &["a", "home", "threads"]) {
        let _ = value.number(-20..=20_i64);
        let _ = (value.size(512), value.bytes(), value.seconds(), value.octal(), value.flag());
        assert!(value.positive().map_or(true, |number| number > 0.0 && number.is_finite()));
        assert!(value.clone().absolute().map_or(true, |file| file.starts_with(b"/")));
        assert!(value.clone().paths().iter().all(|entry| !entry.contains(&b':')));
        let _ = (value.clone().text(), value.group());
    }
}

/// Reads a whole configuration, one directive in each line.
pub fn directives(text: &[u8]) {
    match trial::read(text) {
        Ok(left) => {
            let groups = &left.process.groups;
            let is_own = |group: &Group| groups.iter().filter(|other| other.name == group.name).count() == 1;
            assert!(groups.iter().all(is_own), "a process group is defined once");
        }
        // httpd prints it as one line, on a terminal too.
        Err(error) => assert!(!error.contains(char::is_control), "{error:?}"),
    }
}

fn quote(word: &[u8]) -> Vec<u8> {
    let escaped = word.iter().flat_map(|byte| match byte {
        b'"' | b'\\' => vec![b'\\', *byte],
        _ => vec![*byte],
    });
    [b'"'].into_iter().chain(escaped).chain([b'"']).collect()
}

/// Applies the headers that a proxy may set. The input: subnets of proxies, the client's address and the headers, a
/// line each.
pub fn proxies(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let mut next = || lines.next().unwrap_or_default();
    let subnets: Vec<_> = next().split(|byte| *byte == b' ').filter_map(proxies::Subnet::parse).collect();
    let declared: Vec<_> = next().split(|byte| *byte == b' ').filter_map(proxies::TrustedHeader::parse).collect();
    let (peer, value) = (next(), next());
    if let Some(address) = std::str::from_utf8(peer).ok().and_then(|text| text.parse().ok()) {
        let alone = proxies::Subnet::parse(peer);
        assert!(alone.is_none_or(|subnet| subnet.contains(address)), "an address is in the subnet of itself");
    }
    for known in [None, Some(&subnets[..])] {
        let changes = proxies::apply(&declared, known, peer, |_| (!value.is_empty()).then_some(value));
        if let Some(client) = &changes.remote_addr {
            let is_address = std::str::from_utf8(client).is_ok_and(|text| text.parse::<std::net::IpAddr>().is_ok());
            assert!(is_address, "only an address becomes REMOTE_ADDR");
        }
        for name in ["X-Forwarded-For", "X-Forwarded-Proto", "Host"] {
            let _ = changes.removes(name.as_bytes());
        }
    }
}

/// Finds where a request goes. The input: its line, an alias, an `Accept` header.
pub fn requests(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let mut next = || lines.next().unwrap_or_default();
    let (line, prefix, accept) = (next(), next(), next());
    let target = path::request_target(line);
    let (uri, query) = target.split_at(target.iter().position(|byte| *byte == b'?').unwrap_or(target.len()));
    if let Some(taken) = alias::prefix(uri, prefix) {
        let file = alias::filename(b"/srv/site", uri, prefix, taken);
        assert!(taken <= uri.len() && file.starts_with(b"/srv/site"));
    }
    assert!(!path::single_slashes(uri).windows(2).any(|two| two == b"//"));
    let _ = path::inside(prefix, uri);
    let _ = question::understand(uri, query.strip_prefix(b"?").unwrap_or_default(), Some(accept));
}

#[cfg(test)]
#[path = "../fuzz/corpus.rs"]
mod corpus;

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn words_come_back_from_a_line(given in proptest::collection::vec(proptest::collection::vec(proptest::num::u8::ANY, 1..20), 0..6)) {
            let line = given.iter().map(|word| quote(word)).collect::<Vec<_>>().join(&b' ');
            proptest::prop_assert_eq!(words::all(&line), given);
            words(&line);
        }

        #[test]
        fn whatever_a_line_holds_it_is_cut_or_refused(line in proptest::collection::vec(proptest::num::u8::ANY, 0..80)) {
            words(&line);
        }

        #[test]
        fn only_what_a_trusted_proxy_says_changes_a_request(
            subnets in "(10\\.0\\.0\\.0/8|127\\.0\\.0\\.1|::1|[0-9./:]{0,20})?( [0-9a-f./:]{0,20})?",
            headers in "((X-Forwarded-For|X-Real-IP|X-Forwarded-Proto|X-Forwarded-Host|X-Script-Name|X-[A-Z]{0,5}) ?){0,4}",
            peer in "(10\\.1\\.2\\.3|127\\.0\\.0\\.1|::1|[0-9.:]{0,15})", value in "[ -~]{0,40}",
        ) {
            proxies(format!("{subnets}\n{headers}\n{peer}\n{value}").as_bytes());
            // A stranger's headers say nothing.
            let declared: Vec<_> = headers.split(' ').filter_map(|name| proxies::TrustedHeader::parse(name.as_bytes())).collect();
            let nobody = [proxies::Subnet::parse(b"203.0.113.9").unwrap()];
            let changes = proxies::apply(&declared, Some(&nobody), peer.as_bytes(), |_| Some(value.as_bytes()));
            let told = (&changes.remote_addr, &changes.host, &changes.server_name, &changes.script_name, changes.https);
            proptest::prop_assert_eq!(told, (&None, &None, &None, &None, None));
        }

        #[test]
        fn whatever_a_client_asks_for_stays_below_the_alias(line in "(GET|POST|[A-Z]{0,3}) [ -~]{0,60}( HTTP/1\\.1)?", prefix in "/?[a-z/.%]{0,12}") {
            requests(format!("{line}\n{prefix}\napplication/json").as_bytes());
            requests(format!("GET {prefix}{line} HTTP/1.1\n{prefix}\n*/*").as_bytes());
        }

        #[test]
        fn a_subnet_holds_what_shares_its_first_bits(network: u32, bits in 0u32..=32, other: u32) {
            let (network, other) = (std::net::Ipv4Addr::from(network), std::net::Ipv4Addr::from(other));
            let shared = bits == 0 || u32::from(network) >> (32 - bits) == u32::from(other) >> (32 - bits);
            for text in [format!("{network}/{bits}"), format!("::ffff:{network}/{}", 96 + bits)] {
                let subnet = proxies::Subnet::parse(text.as_bytes()).unwrap();
                proptest::prop_assert_eq!((subnet.contains(other.into()), subnet.contains(network.into())), (shared, true));
                proptest::prop_assert_eq!(subnet.contains(other.to_ipv6_mapped().into()), shared);
            }
        }
    }
}
