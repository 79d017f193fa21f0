//! Apache's scoreboard: what its processes and threads do.

use std::ffi::{c_char, c_int};
use std::mem::MaybeUninit;
use std::time::{SystemTime, UNIX_EPOCH};

use wsgi_wire::codec::Bytes;
use wsgi_wire::scoreboard::{Process, Scoreboard, Worker};

use super::sys;

/// The letters of mod_status, by number of the status.
const LETTERS: &[u8; 11] = b".S_RWKLDCGI";

/// What the scoreboard says now; `None` where Apache has none.
pub fn read() -> Option<Scoreboard> {
    // SAFETY: a plain question.
    if unsafe { sys::ap_exists_scoreboard_image() } == 0 {
        return None;
    }
    // SAFETY: there is one.
    let global = unsafe { sys::ap_get_scoreboard_global() };
    // SAFETY: the scoreboard is mapped before children begin, and stays; httpd itself reads it while others write.
    let global = unsafe { global.as_ref() }?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Some(Scoreboard {
        server_limit: number(global.server_limit),
        thread_limit: number(global.thread_limit),
        running_generation: global.running_generation,
        restart_time: seconds(global.restart_time),
        current_time: now.as_secs_f64(),
        processes: (0..global.server_limit).filter_map(|index| process(index, global.thread_limit)).collect(),
    })
}

fn process(index: c_int, threads: c_int) -> Option<Process> {
    // SAFETY: there is a scoreboard; the index is below the server's limit.
    let score = unsafe { sys::ap_get_scoreboard_process(index) };
    // SAFETY: as in `read`.
    let score = unsafe { score.as_ref() }?;
    Some(Process {
        pid: as_i32(score.pid),
        generation: score.generation,
        quiescing: score.quiescing != 0,
        workers: (0..threads).map(|thread| worker(index, thread)).collect(),
    })
}

/// The record of a thread, with room behind it: httpd copies the whole of its own, and that of a later version than the
/// one whose headers this was built with may have more fields at its end.
#[repr(C)]
struct Room {
    score: sys::worker_score,
    later: [u8; 4096],
}

fn worker(process: c_int, thread: c_int) -> Worker {
    let mut room = MaybeUninit::<Room>::zeroed();
    // SAFETY: both indexes are below their limits, and there is room for a record.
    unsafe { sys::ap_copy_scoreboard_worker(room.as_mut_ptr().cast(), process, thread) };
    // SAFETY: the record is made of numbers, character arrays and addresses that nobody follows, for which zeroes are
    // valid.
    let Room { score, later: _ } = unsafe { room.assume_init() };
    Worker {
        thread_num: score.thread_num,
        generation: score.generation,
        status: LETTERS.get(usize::from(score.status)).copied().unwrap_or(b'?'),
        access_count: as_u64(score.access_count),
        bytes_served: u64::try_from(score.bytes_served).unwrap_or(0),
        start_time: seconds(score.start_time),
        stop_time: seconds(score.stop_time),
        last_used: seconds(score.last_used),
        client: text(&score.client64),
        request: text(&score.request),
        vhost: text(&score.vhost),
    }
}

fn number(n: c_int) -> u32 {
    u32::try_from(n).unwrap_or(0)
}

/// A number that has another width on Windows.
fn as_i32(n: impl TryInto<i32>) -> i32 {
    n.try_into().unwrap_or(0)
}

/// A number that has another width on Windows.
fn as_u64(n: impl Into<u64>) -> u64 {
    n.into()
}

fn seconds(microseconds: sys::apr_time_t) -> f64 {
    microseconds as f64 / 1e6
}

/// The string in a field of fixed size, which need not end in NUL.
fn text(field: &[c_char]) -> Bytes {
    Bytes(field.iter().map(|c| c.to_ne_bytes()[0]).take_while(|b| *b != 0).collect())
}
