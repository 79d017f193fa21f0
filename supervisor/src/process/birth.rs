//! The moment at which a process began, which together with its pid names it for good, since pids are used again; and
//! its user.

use std::fs;

/// Returns when the process with this pid began, in the system's own unit; `None` if there is none, or the system does
/// not tell.
pub fn of(pid: u32) -> Option<u64> {
    read(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The user that the process with this pid runs as.
pub fn user(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("Uid:"))?.split_whitespace().next()?.parse().ok()
}

/// Reads the 22nd field of `/proc/<pid>/stat`. The second one, the program's name in parentheses, may have anything in
/// it.
fn read(stat: &str) -> Option<u64> {
    stat.rsplit_once(") ")?.1.split(' ').nth(22 - 3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_keeps_its_beginning_and_another_one_has_another() {
        let own = of(std::process::id());
        assert!(own.is_some_and(|ticks| ticks > 0));
        assert_eq!(own, of(std::process::id()));
        assert_ne!(own, of(1));
        assert_eq!((of(u32::MAX), user(u32::MAX)), (None, None));
        assert_eq!(user(std::process::id()), Some(rustix::process::getuid().as_raw()));
    }

    #[test]
    fn a_programs_name_cannot_forge_it() {
        let rest = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        assert_eq!(read(&format!("9 (a) S 1 1 1) {rest}")), Some(4711));
    }
}
