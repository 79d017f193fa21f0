//! What a long run has shown, and how long it is to be.

use std::fmt::Display;
use std::process::ExitCode;

/// How often to do what the run is about: the number on the command line (`cargo bench … -- 50`), or `all`.
#[must_use]
pub fn repetitions(all: usize) -> usize {
    std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(all)
}

/// The bounds that a run was held to, each told as it is judged.
#[derive(Debug, Default)]
pub struct Verdict {
    broken: usize,
}

impl Verdict {
    /// Judges one bound.
    pub fn bound(&mut self, what: impl Display, holds: bool) {
        println!("{} {what}", if holds { "PASS" } else { "FAIL" });
        self.broken += usize::from(!holds);
    }

    /// Success where every bound held.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        if self.broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
