//! Tests of what leaves for a client.

use std::io::{Read, Write};
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;

use wsgi_wire::record::LogRecord;
use wsgi_wire::request::BodyError;
use wsgi_wire::response::{Head, Headers};

use super::*;
use crate::relay::client::{Gone, Peer, RequestContext, Right};

/// A client that takes what fits into its socket's buffer; or, without a socket, all that comes while it may be
/// waited for, and nobody can look behind its connection.
#[derive(Default)]
struct Slow {
    socket: Option<UnixStream>,
    taken: Vec<u8>,
    may_not_wait: bool,
}

impl Slow {
    fn with(socket: UnixStream) -> Self {
        Self { socket: Some(socket), ..Self::default() }
    }
}

impl RequestContext for Slow {
    fn log(&mut self, _record: &LogRecord) {}
}

impl Peer for Slow {
    fn socket(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(AsFd::as_fd)
    }
}

impl Client for Slow {
    fn read_body(&mut self, _max: usize, _out: &mut Vec<u8>) -> Result<bool, BodyError> {
        Ok(false)
    }
    fn right_to_wait(&self, _pressing: bool) -> Option<Right> {
        (!self.may_not_wait).then_some(None)
    }
    fn early_hints(&mut self, _headers: Headers<'_>) {}
    fn head(&mut self, _head: &Head<'_>) -> Result<(), u16> {
        Ok(())
    }
    fn data(&mut self, pieces: &[&[u8]], _then: Then) -> Result<(), SendError> {
        match &mut self.socket {
            Some(socket) => pieces.iter().try_for_each(|piece| socket.write_all(piece)).map_err(|_| Gone)?,
            None => self.taken.extend(pieces.concat()),
        }
        Ok(())
    }
    fn file(&mut self, _file: OwnedFd, _piece: &File) -> Result<(), SendError> {
        Ok(())
    }
}

#[test]
fn what_a_client_does_not_take_is_kept_in_order_and_given_back() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    rustix::net::sockopt::set_socket_send_buffer_size(&ours, 1 << 20).unwrap();
    let (mut client, mut outflow) = (Slow::with(ours), Outflow::default());
    let content: Vec<u8> = (0..6_000_000u32).map(|n| (n / 7) as u8).collect();
    for piece in content[..5_000_000].chunks(10_000) {
        outflow.data(&mut client, piece, false).unwrap();
    }
    assert!(!outflow.is_empty() && KEPT.load(Relaxed) > 0, "nobody reads, and nothing has waited");
    // A memory file that comes behind it is kept, too.
    let file = make_file().unwrap();
    pwrite(&file, &content[4_999_000..], 0).unwrap();
    let piece = |length| File { offset: 1000, length, whole: false };
    assert!(outflow.file(&mut client, &file, &piece(1_000_000), false).is_ok());
    let reader = std::thread::spawn(move || {
        let mut received = vec![0; 6_000_000];
        theirs.read_exact(&mut received).unwrap();
        received
    });
    outflow.drain(&mut client).unwrap();
    assert!(reader.join().unwrap() == content);
    assert!(outflow.is_empty() && outflow.written == 0);
    outflow.keep(b"x").unwrap();
    assert!(outflow.file(&mut client, &file, &piece(1_000_001), false).is_err(), "more is announced than there is");
}

#[test]
fn what_is_kept_has_a_bound_for_one_response_for_all_and_for_the_disk() {
    assert!(may_keep(limits::KEPT - 1, limits::KEPT_IN_ALL - 1));
    assert!(!may_keep(limits::KEPT, 0) && !may_keep(0, limits::KEPT_IN_ALL));
    assert!(leaves_enough(100 * limits::KEPT_LEAVES, 101) && !leaves_enough(100 * limits::KEPT_LEAVES, 100));
    assert!(leaves_enough(0, 0), "who does not tell has room");
    let (large, min) = (1000 * limits::KEPT_LEAVES_AT_MOST, limits::KEPT_LEAVES_AT_MOST);
    assert!(leaves_enough(large, min + 1) && !leaves_enough(large, min));
    // Where nothing more may be kept the client is waited for, and gets everything.
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let (mut client, mut outflow) = (Slow::with(ours), Outflow::default());
    outflow.keep(b"first").unwrap();
    (outflow.read, outflow.written) = (limits::KEPT - 5, limits::KEPT);
    pwrite(outflow.file.as_ref().unwrap(), b"first", limits::KEPT - 5).unwrap();
    KEPT.fetch_add(limits::KEPT - 5, Relaxed);
    assert!(!outflow.has_room());
    outflow.data(&mut client, b" second", true).unwrap();
    let mut received = [0; 12];
    theirs.read_exact(&mut received).unwrap();
    assert!(&received == b"first second" && outflow.written == 0);
}

#[test]
fn what_is_kept_and_cannot_be_read_is_our_failure_and_not_the_clients() {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let (mut client, mut outflow) = (Slow::with(ours), Outflow::default());
    outflow.keep(b"content").unwrap();
    ftruncate(outflow.file.as_ref().unwrap(), 0).unwrap();
    assert_eq!(outflow.drain(&mut client), Err(SendError::Unkept(Errno::NODATA)));
    outflow.file = open("/dev/null", OFlags::WRONLY, Mode::empty()).ok();
    assert_eq!(outflow.drain(&mut client), Err(SendError::Unkept(Errno::BADF)));
}

#[test]
fn a_file_has_no_name_whatever_the_file_system_can() {
    let directory = std::env::temp_dir().join(format!("wsgi-outflow-{}", std::process::id()));
    std::fs::create_dir(&directory).unwrap();
    let taken = directory.join(format!("wsgi-kept-{}-0", std::process::id()));
    std::fs::write(&taken, "somebody's").unwrap();
    let file = make_in(directory.to_str().unwrap()).unwrap();
    pwrite(&file, b"x", 0).unwrap();
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 1);
    assert_eq!(std::fs::read(&taken).unwrap(), b"somebody's");
    std::fs::remove_dir_all(&directory).unwrap();
    assert!(make_in("/nowhere").is_err());
}

#[test]
fn who_may_not_wait_for_a_client_keeps_what_it_may_not_take() {
    let (mut client, mut outflow) = (Slow::default(), Outflow::default());
    outflow.data(&mut client, &[1; limits::UNSEEN - 1], false).unwrap();
    client.may_not_wait = true;
    outflow.data(&mut client, &[2; 10], false).unwrap();
    assert_eq!(
        (client.taken.len(), outflow.is_empty()),
        (limits::UNSEEN, false),
        "what nobody has to wait for goes down"
    );
    client.may_not_wait = false;
    outflow.data(&mut client, &[3; 10], false).unwrap();
    assert_eq!(client.taken.len(), limits::UNSEEN, "nothing overtakes");
    outflow.drain(&mut client).unwrap();
    assert_eq!(client.taken[limits::UNSEEN - 1..], [[2; 10], [3; 10]].concat());
}
