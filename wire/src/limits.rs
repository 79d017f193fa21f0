//! Every bound of the protocol, with its reason.

/// The longest payload of a frame. Larger than any header block Apache accepts (`LimitRequestFields` × `LimitRequestFieldSize`
/// at generous settings), small enough that a corrupt length cannot make a peer ask for gigabytes.
pub const FRAME: usize = 16 << 20;

/// The largest request body that travels inside the `Request` frame. Up to here the Apache child reads the body before it
/// bothers the daemon, so that a slow upload of a form never holds a Python thread.
pub const INLINE_BODY: usize = 64 << 10;

/// How much of a longer body, or of one of unknown length, an Apache child reads before it bothers a process, as long as the client keeps sending: what
/// ordinary uploads need. The rest of a longer one streams.
pub const SPOOL: usize = 1 << 20;

/// The most that all requests of one Apache child may have read ahead in sum; beyond it bodies stream from the beginning. As many usual uploads as a
/// child has threads for, and bearable for each of a few dozen children.
pub const SPOOLED: usize = 64 << 20;

/// The most that one `Pull` may ask for: bounds what the engine buffers for an application that reads line by line.
pub const PULL: u32 = 1 << 20;

/// Response chunks above this size travel as a memory file (`File`) instead of crawling through the socket's buffer.
pub const INLINE_CHUNK: usize = 256 << 10;

/// The most header lines of one response; an application that sends more is broken.
pub const RESPONSE_HEADERS: usize = 4096;

/// Routes one connection may announce. A connection that needs more is closed by the child and replaced.
pub const ROUTES: u16 = 1024;

/// Interpreters of one process, the main one included, unless the configuration itself has more script aliases, imported scripts and virtual hosts than
/// that. None is ever given back, and each loads its application again (some 7 MiB for an empty one): where the name of an application group
/// depends on the request (`%{HOST}`, `%{ENV:…}`, `%{RESOURCE}` of an alias by pattern), clients must not decide how many there are.
pub const INTERPRETERS: u32 = 64;

/// The longest log record that travels: Apache cuts a line at 8 KiB anyway, the daemon's own stream takes more.
pub const LOG_RECORD: usize = 1 << 20;

/// The most that a message takes in a JSON record, in bytes as they are written. With a traceback and the rest, a line stays below 128 KiB,
/// which shippers take by default.
pub const JSON_MESSAGE: usize = 32 << 10;

/// The most that a traceback takes in a JSON record.
pub const JSON_TRACEBACK: usize = 64 << 10;

/// The most that any other text takes in a JSON record: a path of the client's choice, say.
pub const JSON_NAME: usize = 4 << 10;

/// The most items in any list of a control message.
pub const LIST: usize = 65_536;

/// Seconds that stand for `shutdown-timeout=0` ("no limit") when the server stops: it must be able to. The supervisor kills a process after
/// this, and the Apache parent waits for the supervisor accordingly.
pub const STOP: u32 = 60;

/// The longest `env-file`, in bytes: more than the kernel takes as an environment of usual size, and little enough to be read again for each process.
pub const ENV_FILE: u64 = 1 << 20;
