//! Every bound of the protocol, with its reason.

/// The longest payload of a frame. Larger than any header block Apache accepts (`LimitRequestFields` ×
/// `LimitRequestFieldSize` at generous settings), small enough that a corrupt length cannot make a peer ask for
/// gigabytes.
pub const FRAME: usize = 16 << 20;

/// The largest request body that travels inside the `Request` frame. Up to here the Apache child reads the body before
/// it bothers the daemon, so that the upload of a form holds no Python thread as long as its client keeps sending.
pub const INLINE_BODY: usize = 64 << 10;

/// How much of a longer body, or of one of unknown length, an Apache child reads before it bothers a process, as long
/// as the client keeps sending: what ordinary uploads need. The rest of a longer one streams.
pub const SPOOL: usize = 1 << 20;

/// How many bytes all requests of one Apache child may have read ahead in sum; beyond that bodies stream from the
/// beginning. As many usual uploads as a child has threads for, and bearable for each of a few dozen children.
pub const SPOOLED: usize = 64 << 20;

/// How many bytes of a response an Apache child keeps, in a file, for a client that does not take it: beyond that the
/// process waits for the client. Few applications stream more than this: reports and archives.
pub const KEPT: u64 = 256 << 20;

/// How many bytes all requests of one Apache child may keep in sum: several at their bound, on a disk that others use
/// too.
pub const KEPT_IN_ALL: u64 = 1 << 30;

/// The part of a file system that this leaves free for others: a tenth.
pub const KEPT_LEAVES: u64 = 10;

/// How many bytes this leaves free at the most: a tenth of a large disk is more than others need.
pub const KEPT_LEAVES_AT_MOST: u64 = 4 << 30;

/// What a client takes of a response without anybody having to wait, where nobody can look behind its connection: half
/// of what mod_http2 keeps of a stream by default (`H2StreamMaxMemSize`).
pub const UNSEEN: usize = 32 << 10;

/// The most that one `Pull` may ask for: bounds what the engine buffers for an application that reads line by line.
pub const PULL: u32 = 1 << 20;

/// The longest `Data` frame. Content that is longer leaves the engine from where the application has it, in pieces and
/// as soon as it comes: what the child does not take in time goes on as a memory file (`File`), so that it keeps no
/// thread.
pub const INLINE_CHUNK: usize = 256 << 10;

/// The longest piece of a WebSocket's message in one frame: what each end has to hold of it until it can go on.
pub const MESSAGE_PIECE: usize = 256 << 10;

/// The longest reason of a close, bytes: what a control frame has room for behind the code (RFC 6455 §5.5).
pub const CLOSE_REASON: usize = 123;

/// The longest name of a sub-protocol that an application may accept, bytes: those that are registered are short.
pub const SUBPROTOCOL: usize = 1024;

/// The most header lines of one response; an application that sends more is broken.
pub const RESPONSE_HEADERS: usize = 4096;

/// The most bytes of a response's head, the lengths in front of its parts included: what an Apache child has to hold
/// for it while it arrives. No client takes nearly as much.
pub const RESPONSE_HEAD: usize = 1 << 20;

/// The most early hints that one request may give: more are of no use to a client, and each one is a write to it.
pub const HINTS: usize = 32;

/// The most bytes that these take together: as much as an Apache child is willing to hold of headers that are hints
/// only.
pub const HINTS_BYTES: usize = 64 << 10;

/// The longest text in a span of a request: longer ones lose their end.
pub const SPAN_TEXT: usize = 512;

/// The longest datagram that is exported: that of a group with as many processes as there can be.
pub const EXPORTED: usize = 64 << 10;

/// How many spans the exporter keeps for one report. What comes beyond them is lost, and counted.
pub const SPANS: usize = 4096;

/// The longest name of a variable of mod_ssl: twice what the longest of its own has.
pub const VARIABLE_NAME: usize = 64;

/// The longest value of such a variable: a chain of certificates has some kilobytes.
pub const VARIABLE: usize = 64 << 10;

/// The most variables that one request may be told: several times as many as mod_ssl has. Each takes memory of the
/// request, which an Apache child gives back at its end only.
pub const VARIABLES: u32 = 512;

/// The longest text in a script's answer to a question: a user's name, the hash of a password, the name of a group.
pub const ANSWERED_TEXT: usize = 1024;

/// The most groups that a user may be in: directories of large organisations have hundreds for one.
pub const USER_GROUPS: usize = 4096;

/// The longest encoded answer: what an Apache child holds of it while it arrives.
pub const ANSWER: usize = 256 << 10;

/// The most files of one response that wait in an Apache child to be sent: each is a descriptor, of which it has a
/// thousand for all its requests.
pub const FILES_WAITING: usize = 16;

/// The most bytes of an unread request body that an Apache child takes off a connection so that this can carry another
/// request. With more to come it is cheaper for both ends to make a new connection.
pub const DISCARDED_BODY: usize = 256 << 10;

/// Routes one connection may announce. A connection that needs more is closed by the child and replaced.
pub const ROUTES: u16 = 1024;

/// Interpreters of one process, the main one included, unless the configuration itself has more script aliases,
/// imported scripts and virtual hosts than that. None is ever given back, and each loads its application again (some 7
/// MiB for an empty one): where the name of an application group depends on the request (`%{HOST}`, `%{ENV:…}`,
/// `%{RESOURCE}` of an alias by pattern), clients must not decide how many there are.
pub const INTERPRETERS: u32 = 64;

/// The longest log record that travels, message and traceback together: with what stands around them it fits into one
/// message of a socket with the system's usual buffer (208 KiB on Linux). What is longer travels as several records. A
/// line, or a traceback, that is longer is not waited for to end.
pub const LOG_RECORD: usize = 128 << 10;

/// The longest encoded log record: the text, and names of logger, file, groups and request.
pub const LOG_MESSAGE: usize = LOG_RECORD + (40 << 10);

/// The most lines of one record that become records of their own. What follows them stays together in one: else a
/// message of line ends only would cost a hundred times its length in time stamps.
pub const LOG_LINES: usize = 100;

/// What a record costs in the log besides its text and the names that stand around it: time stamp, level and client, or
/// all that a JSON record calls these things.
pub const LOG_PREFIX: usize = 400;

/// Bytes of log that a process group may fill in a second for each of its processes, on average: more than any
/// application says that somebody reads, and no disk is full within minutes.
pub const LOG_RATE: u32 = 1 << 20;

/// Bytes of log that it may fill at once: the tracebacks of a bad minute, debug output while an application starts.
pub const LOG_BURST: u32 = 16 << 20;

/// Bytes of records that the supervisor keeps while no Apache child takes them. Then it reads no more of what processes
/// say, and they wait.
pub const LOG_QUEUE: usize = 1 << 20;

/// The most that a message takes in a JSON record, in bytes as they are written; a longer one is continued. With a
/// traceback and the rest, a line stays below 128 KiB, which shippers take by default.
pub const JSON_MESSAGE: usize = 32 << 10;

/// The most that a traceback takes in a JSON record; a longer one is continued.
pub const JSON_TRACEBACK: usize = 64 << 10;

/// The most that any other text takes in a JSON record: a path of the client's choice, say.
pub const JSON_NAME: usize = 4 << 10;

/// The most items in any list of a control message.
pub const LIST: usize = 65_536;

/// Seconds that stand for `shutdown-timeout=0` ("no limit") when the server stops: it must be able to. The supervisor
/// kills a process after this, and the Apache parent waits for the supervisor accordingly.
pub const STOP: u32 = 60;

/// The longest `env-file`, in bytes: more than the kernel takes as an environment of usual size, and little enough to
/// be read again for each process.
pub const ENV_FILE: u64 = 1 << 20;

/// The most descriptors that travel with one byte: Linux takes no more (SCM_MAX_FD).
pub const PASSED: usize = 253;

/// Messages that the supervisor takes from a daemon process in a second, on average, whatever they are: an honest one
/// has few, and asks for Apache's scoreboard as often as it makes sense to look at it. What comes faster waits in the
/// process's own socket.
pub const DAEMON_RATE: u32 = 100;

/// Messages that it takes at once: a process that starts names all scripts that it has loaded.
pub const DAEMON_BURST: u32 = 400;

/// The longest payload of a frame from a daemon to the supervisor, which is root's and everybody's.
pub const DAEMON_FRAME: usize = 64 << 10;

/// The longest path of a script that the supervisor remembers for later processes: PATH_MAX.
pub const SCRIPT_PATH: usize = 4096;

/// The longest name of an application group or a callable that it remembers.
pub const SCRIPT_NAME: usize = 1024;

/// The most bytes of such paths and names of one group: they are in the `Start` of each of its processes.
pub const SCRIPTS: usize = 256 << 10;

/// Seconds that Apache may take to read its configuration. If the supervisor has not heard of one after that, the
/// module is not in it any more.
pub const READING: u32 = 10;
