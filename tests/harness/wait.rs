//! Waiting for facts.

use std::time::{Duration, Instant};

/// Asks again and again until there is an answer or `deadline` has passed; gives the answer, or `None` when time is up.
pub fn eventually<T>(deadline: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + deadline;
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
