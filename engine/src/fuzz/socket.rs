//! A socket on which a fuzzed input arrives.

use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

/// How much of an input goes over a socket: its buffer holds it.
pub(super) const LONGEST: usize = 32 << 10;

/// A socket on which this has come, and then an end.
pub(super) fn socket(data: &[u8]) -> Option<(UnixStream, UnixStream)> {
    let (mut theirs, ours) = UnixStream::pair().ok()?;
    theirs.write_all(&data[..data.len().min(LONGEST)]).ok()?;
    theirs.shutdown(Shutdown::Write).ok()?;
    theirs.set_nonblocking(true).ok()?;
    Some((theirs, ours))
}
