//! The end of a process, in words.

use std::process::ExitStatus;

use wsgi_wire::control::FAILED_AT_START;

/// Whether a process with this status failed at start and has told why.
pub fn has_told_why(status: ExitStatus) -> bool {
    status.code() == Some(FAILED_AT_START)
}

/// Describes the end of a process; a signal by its number and name.
pub fn describe(status: ExitStatus) -> String {
    match status.code() {
        Some(FAILED_AT_START) => "failed at start (exit code 3)".to_owned(),
        Some(code) => format!("ended with exit code {code}"),
        None => format!("was ended by {}", status.to_string().replacen("signal: ", "signal ", 1)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn signals_are_named_and_numbered() {
        assert_eq!(describe(ExitStatus::from_raw(11)), "was ended by signal 11 (SIGSEGV)");
        assert_eq!(describe(ExitStatus::from_raw(0)), "ended with exit code 0");
        assert_eq!(describe(ExitStatus::from_raw(3 << 8)), "failed at start (exit code 3)");
    }
}
