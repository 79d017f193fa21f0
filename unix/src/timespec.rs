//! A duration in the form that system calls take which wait.
#![forbid(unsafe_code)]

use std::time::Duration;

use rustix::time::Timespec;

/// Makes a timespec of a duration.
pub fn timespec(time: Duration) -> Timespec {
    Timespec { tv_sec: time.as_secs().try_into().unwrap_or(0), tv_nsec: time.subsec_nanos().into() }
}
