//! The clock of this process, which no other one reads, and the time zone of this machine.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use windows_sys::Win32::Foundation::{FILETIME, SYSTEMTIME};
use windows_sys::Win32::System::Time::{FileTimeToSystemTime, SystemTimeToFileTime, SystemTimeToTzSpecificLocalTime};

/// The seconds from 1601, where times of Windows begin, to 1970.
const EPOCH: u64 = 11_644_473_600;

/// How many units of a time of Windows a second has.
const SECOND: u64 = 10_000_000;

/// The time on a clock that never goes back.
pub fn monotonic() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

/// How many seconds the clocks of this machine are ahead of UTC at a moment since the epoch; 0 where the system does
/// not tell.
pub fn utc_offset(since_epoch: Duration) -> i32 {
    let utc = since_epoch.as_secs() + EPOCH;
    local(utc).map_or(0, |local| (local as i64 - utc as i64) as i32)
}

/// The seconds since 1601 that clocks here show at a moment, which is that many seconds of UTC since then.
fn local(utc: u64) -> Option<u64> {
    let time = utc * SECOND;
    let mut time = FILETIME { dwLowDateTime: time as u32, dwHighDateTime: (time >> 32) as u32 };
    let (mut universal, mut here) = (SYSTEMTIME::default(), SYSTEMTIME::default());
    // SAFETY: a time, and a place for one.
    let converted = unsafe { FileTimeToSystemTime(&raw const time, &raw mut universal) } != 0
        // SAFETY: null is the time zone of this machine; a time, and a place for one.
        && unsafe { SystemTimeToTzSpecificLocalTime(std::ptr::null(), &raw const universal, &raw mut here) } != 0
        // SAFETY: a time, and a place for one.
        && unsafe { SystemTimeToFileTime(&raw const here, &raw mut time) } != 0;
    converted.then(|| (u64::from(time.dwHighDateTime) << 32 | u64::from(time.dwLowDateTime)) / SECOND)
}
