//! Waiting for facts.

use std::time::{Duration, Instant};

/// Asks again and again until there is an answer or `deadline` has passed; gives the answer, or `None` when time is up.
/// On a busy machine the deadline is later.
pub fn eventually<T>(deadline: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + in_time(deadline);
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() > end {
            return None;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// How many times slower a server is below another program, valgrind for instance (`HARNESS_UNDER`).
const UNDER: u32 = 10;

/// How long something may take on this machine now that takes so long at the most on one that does nothing else.
#[must_use]
pub fn in_time(limit: Duration) -> Duration {
    let limit = if std::env::var_os("HARNESS_UNDER").is_some() { limit * UNDER } else { limit };
    limit.mul_f64(busyness(&std::fs::read_to_string("/proc/loadavg").unwrap_or_default()))
}

/// By how much everything is slower: as many times as there are more programs that want to run than processors, and not
/// without end.
fn busyness(load: &str) -> f64 {
    let processors = std::thread::available_parallelism().map_or(1, usize::from) as f64;
    let minute = load.split(' ').next().and_then(|average| average.parse().ok()).unwrap_or(0.0);
    // `2/345`: those that want to run now, of all.
    let now = load.split(['/', ' ']).nth(3).and_then(|running| running.parse().ok()).unwrap_or(0.0);
    (f64::max(minute, now) / processors).clamp(1.0, 8.0)
}

#[cfg(test)]
mod tests {
    use super::busyness;

    #[test]
    fn a_busy_machine_is_given_more_time() {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        assert_eq!(busyness(""), 1.0);
        assert_eq!(busyness("0.10 0.20 0.30 1/345 6789"), 1.0);
        assert_eq!(busyness(&format!("{}.00 0.20 0.30 1/345 6789", 2 * processors)), 2.0);
        assert_eq!(busyness(&format!("0.10 0.20 0.30 {}/345 6789", 3 * processors)), 3.0);
        assert_eq!(busyness("100000 0.20 0.30 1/345 6789"), 8.0);
    }
}
