//! Writes the supervisor's records, and through it those of daemon processes outside of requests, into Apache's error
//! logs: as Apache's own, so that `ErrorLog syslog`, piped logs, `ErrorLogFormat` and the virtual host's log hold for
//! them. A thread of each child waits for them; when the server stops, and its children are gone, the parent writes
//! what is left.
#![forbid(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::ops::ControlFlow;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::FileType;
use wsgi_wire::codec::Wire;
use wsgi_wire::messages::internal;
use wsgi_wire::report::GroupRecord;

use super::runtime::Runtime;
use crate::httpd::log;
use crate::httpd::process::BackgroundThread;
use crate::httpd::records::Socket;
use crate::httpd::server::Server;

/// The thread of this child that writes records, and the means to end its wait.
struct Reader {
    stop: OwnedFd,
    thread: BackgroundThread,
}

static READER: Mutex<Option<Reader>> = Mutex::new(None);
static STOPPING: AtomicBool = AtomicBool::new(false);

/// Starts the thread that writes records, in a child.
pub fn start(runtime: &Arc<Runtime>) {
    let Some(socket) = runtime.records else { return };
    match begin(Arc::clone(runtime), socket) {
        Ok(reader) => *READER.lock().unwrap_or_else(PoisonError::into_inner) = Some(reader),
        Err(error) => log::main(
            &internal::NO_RECORDS_THREAD,
            format_args!("this child writes no records of daemon processes: there can be no thread for it ({error})"),
        ),
    }
}

fn begin(runtime: Arc<Runtime>, socket: Socket) -> io::Result<Reader> {
    let stop = eventfd(0, EventfdFlags::CLOEXEC)?;
    let wait = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&wait, &stop, EventData::new_u64(0), EventFlags::IN)?;
    // One child is woken by a record, not all of them.
    epoll::add(&wait, socket.receives, EventData::new_u64(1), EventFlags::IN | EventFlags::EXCLUSIVE)?;
    let turn = move || {
        let goes_on = read(&runtime, socket, &wait);
        if goes_on.is_break() {
            // Who was woken for a record and leaves it there leaves it to another one.
            socket.wake_another();
        }
        goes_on
    };
    Ok(Reader { stop, thread: BackgroundThread::repeat("the thread for records", "wsgi-records", turn)? })
}

/// Ends that thread, so that none is left in the module when it is unloaded.
pub fn stop() {
    let Some(Reader { stop, thread }) = READER.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
    if !thread.is_here() {
        return;
    }
    STOPPING.store(true, Ordering::Release);
    // An eventfd takes a number, unless it is about to overflow.
    let _ = rustix::io::write(&stop, &1u64.to_ne_bytes());
    thread.join();
}

/// Waits for records and writes them, unless the child ends, or there is a later configuration: its logs may be other
/// files.
fn read(runtime: &Runtime, socket: Socket, wait: &OwnedFd) -> ControlFlow<()> {
    let goes_on = || !STOPPING.load(Ordering::Acquire) && !runtime.is_outdated();
    if !goes_on() {
        return ControlFlow::Break(());
    }
    let (mut events, mut buffer) = ([MaybeUninit::uninit(); 2], Vec::new());
    match epoll::wait(wait, &mut events, None) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => {
            log::main(
                &internal::RECORDS_NOT_AWAITED,
                format_args!("records of daemon processes cannot be waited for: {error}"),
            );
            return ControlFlow::Break(());
        }
    }
    while goes_on() && write_next(runtime, socket, &mut buffer) {}
    ControlFlow::Continue(())
}

/// Writes all records that are there. In the parent, when its children are gone.
pub fn write_all(runtime: &Runtime) {
    let Some(socket) = runtime.records else { return };
    let mut buffer = Vec::new();
    while write_next(runtime, socket, &mut buffer) {}
}

/// Waits until the programs that the logs are piped to have read what is in their pipes. httpd ends such a program at
/// once, and what it has not read by then is lost. A program that does not read holds the stop up for a moment only.
pub fn wait_for_log_programs() {
    const LONGEST: Duration = Duration::from_millis(250);
    /// How long a program needs at the most to write a record that it has read from its pipe.
    const TO_WRITE: Duration = Duration::from_millis(10);
    let Some(main) = Server::main() else { return };
    let unread = |log| rustix::io::ioctl_fionread(log).is_ok_and(|bytes| bytes > 0);
    let is_pipe = |log: &BorrowedFd<'_>| {
        rustix::fs::fstat(log).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Fifo)
    };
    let pipes: Vec<_> = main.all().filter_map(Server::error_log).filter(is_pipe).collect();
    let deadline = Instant::now() + LONGEST;
    while pipes.iter().any(unread) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
    if !pipes.is_empty() {
        std::thread::sleep(TO_WRITE);
    }
}

/// Receives one message and writes its records. Returns whether there was one.
fn write_next(runtime: &Runtime, socket: Socket, buffer: &mut Vec<u8>) -> bool {
    match socket.receive(buffer) {
        None => return false,
        Some([]) => {}
        Some(message) => match GroupRecord::from_bytes(message) {
            Ok(record) => write(runtime, &record),
            Err(error) => log::main(
                &internal::SUPERVISOR_RECORD,
                format_args!("a record of the supervisor is malformed: {error}"),
            ),
        },
    }
    true
}

/// Writes a record where its group logs, or, if there is no such group, the main server.
fn write(runtime: &Runtime, record: &GroupRecord) {
    let Some(main) = Server::main() else { return };
    let group = runtime.groups.get(&*record.group);
    let server = group.and_then(|group| main.all().find(|server| server.id() == group.origin.id));
    log::group(server.unwrap_or(main), record);
}
