//! `server_metrics()` of daemon processes: a thread of each Apache child waits until one of them wants the scoreboard,
//! and writes it down.
//!
//! Only where a group has `server-metrics=On`; while nobody asks it does not wake up.
#![forbid(unsafe_code)]

use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::thread::futex;
use wsgi_wire::codec::Wire;
use wsgi_wire::messages::internal;

use crate::httpd::process::BackgroundThread;
use crate::httpd::shared::SharedTable;
use crate::httpd::shared::scoreboard::SharedScoreboard;
use crate::httpd::{log, scoreboard};

static THREAD: Mutex<Option<(SharedTable, BackgroundThread)>> = Mutex::new(None);
static STOPPING: AtomicBool = AtomicBool::new(false);

/// Starts the thread, in a child.
pub fn start(table: SharedTable, scoreboard: SharedScoreboard) {
    let mut seen = table.header().wanted.load(Ordering::Acquire);
    let turn = move || publish(table, scoreboard, &mut seen);
    match BackgroundThread::repeat("the thread for server metrics", "wsgi-metrics", turn) {
        Ok(thread) => *THREAD.lock().unwrap_or_else(PoisonError::into_inner) = Some((table, thread)),
        Err(error) => log::main(
            &internal::NO_METRICS_THREAD,
            format_args!("server_metrics() gets no answer from this child: there can be no thread for it ({error})"),
        ),
    }
}

/// Ends the thread, so that none is left in the module when it is unloaded.
pub fn stop() {
    let Some((table, thread)) = THREAD.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
    if !thread.is_here() {
        return;
    }
    STOPPING.store(true, Ordering::Release);
    let header = table.header();
    header.wanted.fetch_add(1, Ordering::AcqRel);
    // Those of other children wake up, too, and write once more.
    let _ = futex::wake(&header.wanted, futex::Flags::empty(), u32::MAX >> 1);
    thread.join();
}

/// Waits until the scoreboard is wanted, and writes it. `seen`: the number of what has been wanted before.
fn publish(table: SharedTable, scoreboard: SharedScoreboard, seen: &mut u32) -> ControlFlow<()> {
    if STOPPING.load(Ordering::Acquire) {
        return ControlFlow::Break(());
    }
    let header = table.header();
    // Woken, or something has been wanted meanwhile: the number tells.
    let _ = futex::wait(&header.wanted, futex::Flags::empty(), *seen, None);
    let wanted = header.wanted.load(Ordering::Acquire);
    if std::mem::replace(seen, wanted) != wanted && !STOPPING.load(Ordering::Acquire) {
        if let Some(content) = scoreboard::read() {
            scoreboard.publish(&content.to_bytes(), table.fd());
        }
        let _ = futex::wake(&scoreboard.head().published, futex::Flags::empty(), u32::MAX >> 1);
    }
    ControlFlow::Continue(())
}
