//! Local time for log records.

use std::time::{SystemTime, UNIX_EPOCH};

use wsgi_wire::record::LocalTime;

/// Now, in the time zone of this process.
pub fn local_time() -> LocalTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = since.as_secs() as libc::time_t;
    // SAFETY: an all-zero `tm` is a valid value of it (numbers and a pointer that may be null).
    let mut tm: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live local variables.
    unsafe { libc::localtime_r(&seconds, &mut tm) };
    LocalTime {
        year: tm.tm_year + 1900,
        month: tm.tm_mon as u8,
        day: tm.tm_mday as u8,
        weekday: tm.tm_wday as u8,
        hour: tm.tm_hour as u8,
        minute: tm.tm_min as u8,
        second: tm.tm_sec as u8,
        microsecond: since.subsec_micros(),
        offset: tm.tm_gmtoff as i32,
    }
}
