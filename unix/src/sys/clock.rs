//! The time zone of this process.

use std::time::Duration;

/// How many seconds its clocks are ahead of UTC at a moment since the epoch.
pub fn utc_offset(since_epoch: Duration) -> i32 {
    let seconds = since_epoch.as_secs() as libc::time_t;
    // SAFETY: numbers, for which zeros are valid, and a pointer that may be null.
    let mut time: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both are places in this frame.
    unsafe { libc::localtime_r(&raw const seconds, &raw mut time) };
    time.tm_gmtoff as i32
}
