//! The clock that all processes of the machine share, and the time zone of this one.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The time on a clock that never goes back and is the same in all processes of the machine.
pub fn monotonic() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec as u32)
}

/// The last microseconds of that time: enough to tell how long ago something was, up to half an hour.
pub fn moment() -> u32 {
    monotonic().as_micros() as u32
}

/// How many seconds the clocks of this process are ahead of UTC at a moment since the epoch.
pub fn utc_offset(since_epoch: Duration) -> i32 {
    let seconds = since_epoch.as_secs() as libc::time_t;
    // SAFETY: numbers, for which zeros are valid, and a pointer that may be null.
    let mut time: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both are places in this frame.
    unsafe { libc::localtime_r(&raw const seconds, &raw mut time) };
    time.tm_gmtoff as i32
}
