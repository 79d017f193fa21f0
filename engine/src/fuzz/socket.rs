//! A socket on which a fuzzed input arrives.

use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

/// How many bytes of an input are sent: the socket's buffer holds them.
pub(super) const LONGEST: usize = 32 << 10;

/// Makes a socket on which these bytes, and then an end, have arrived.
pub(super) fn socket(data: &[u8]) -> Option<(UnixStream, UnixStream)> {
    let (mut theirs, ours) = UnixStream::pair().ok()?;
    theirs.write_all(&data[..data.len().min(LONGEST)]).ok()?;
    theirs.shutdown(Shutdown::Write).ok()?;
    theirs.set_nonblocking(true).ok()?;
    Some((theirs, ours))
}
