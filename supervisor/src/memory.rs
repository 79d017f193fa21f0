//! The kernel's kills for want of memory, of which a killed process itself cannot tell.

use std::fs;

/// The count of the kernel's out-of-memory kills, as near to our own processes as the system tells.
#[derive(Debug)]
pub struct MemoryKills {
    seen: u64,
}

impl MemoryKills {
    /// Watches for processes that the kernel ends from now on.
    pub fn watch() -> Self {
        Self { seen: count() }
    }

    /// Whether there were kills since the last call.
    pub fn any_new(&mut self) -> bool {
        let before = std::mem::replace(&mut self.seen, count());
        self.seen > before
    }
}

/// Reads the count of our control group, or of the whole system.
fn count() -> u64 {
    let read = |path: &str| fs::read_to_string(path).ok();
    let own = read("/proc/self/cgroup").and_then(|groups| {
        [("0::", "/sys/fs/cgroup", "memory.events"), ("memory:", "/sys/fs/cgroup/memory", "memory.oom_control")]
            .into_iter()
            .find_map(|(kind, root, file)| counter(&read(&format!("{root}{}/{file}", group(&groups, kind)?))?))
    });
    own.or_else(|| counter(&read("/proc/vmstat")?)).unwrap_or(0)
}

/// The path of a control group in `/proc/self/cgroup`; `kind` is `0::` (version 2) or a controller of version 1.
fn group<'a>(groups: &'a str, kind: &str) -> Option<&'a str> {
    let path = groups.lines().find_map(|line| line.split_once(kind).map(|(_, path)| path))?;
    Some(if path == "/" { "" } else { path })
}

/// Reads the number in the line `oom_kill N`.
fn counter(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_is_found_among_others() {
        assert_eq!(counter("low 0\nhigh 1\nmax 4\noom 3\noom_kill 2\noom_group_kill 9\n"), Some(2));
        assert_eq!(counter("oom_kill_disable 0\nunder_oom 0\noom_kill 5\n"), Some(5));
        assert_eq!(counter("oom 3\n"), None);
    }

    #[test]
    fn the_control_group_is_found_in_both_versions() {
        assert_eq!(group("0::/system.slice/apache2.service\n", "0::"), Some("/system.slice/apache2.service"));
        assert_eq!(group("9:name=systemd:/\n4:memory:/job\n0::/\n", "memory:"), Some("/job"));
        assert_eq!(group("0::/\n", "0::"), Some(""));
    }
}
