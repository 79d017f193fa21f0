//! The size of threads' stacks: Rust's threads have 2 MiB, which is too little for code that was written for the
//! system's stacks.

use rustix::process::{Resource, getrlimit};

/// The size where the limit is "unlimited": what Linux systems have by default.
const DEFAULT: u64 = 8 << 20;

/// The bounds of the size. With less no interpreter can work; more is virtual memory that a thread never needs, and
/// that threads together may not get.
const BOUNDS: (u64, u64) = (256 << 10, 256 << 20);

/// The size that the system gives to stacks (`ulimit -s`), in bytes.
pub fn size() -> usize {
    within_bounds(getrlimit(Resource::Stack).current)
}

fn within_bounds(limit: Option<u64>) -> usize {
    let (min, max) = BOUNDS;
    usize::try_from(limit.unwrap_or(DEFAULT).clamp(min, max)).unwrap_or(DEFAULT as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_is_what_the_system_says_within_reason() {
        assert_eq!(within_bounds(Some(8 << 20)), 8 << 20);
        assert_eq!(within_bounds(Some(64 << 20)), 64 << 20);
        assert_eq!(within_bounds(None), DEFAULT as usize);
        assert_eq!([Some(1), Some(u64::MAX)].map(within_bounds), [256 << 10, 256 << 20]);
    }
}
