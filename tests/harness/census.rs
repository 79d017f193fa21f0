//! Who belongs to a server, and what each of its processes holds.

use crate::processes;
use std::collections::BTreeMap;
use std::fs;

/// What a process of a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The process that reads Apache's configuration.
    Parent,
    /// One that serves HTTP.
    Child,
    /// The one that owns the daemons.
    Supervisor,
    /// One that runs an application.
    Daemon,
    /// What an application has started.
    Other,
}

/// One living process and what it holds.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its process id.
    pub pid: u32,
    /// What it is.
    pub role: Role,
    /// Resident memory, KiB.
    pub resident: u64,
    /// What its open descriptors lead to, and how often; numbers of sockets and the like are left out.
    pub descriptors: BTreeMap<String, usize>,
    /// Mappings of memory files and of System V segments.
    pub shared_memory: usize,
}

impl Member {
    /// How many descriptors are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.descriptors.values().sum()
    }
}

/// All living processes of the server of this parent; one that ends meanwhile is left out.
pub(crate) fn census(parent: u32, pids: &[u32]) -> Vec<Member> {
    let supervisors: Vec<u32> = pids.iter().copied().filter(|pid| is_supervisor(*pid)).collect();
    let role = |pid: u32| match processes::parent_of(pid)? {
        _ if pid == parent => Some(Role::Parent),
        _ if supervisors.contains(&pid) => Some(Role::Supervisor),
        of if of == parent => Some(Role::Child),
        of if supervisors.contains(&of) => Some(Role::Daemon),
        _ => Some(Role::Other),
    };
    let mut members: Vec<_> = pids.iter().filter_map(|pid| member(*pid, role(*pid)?)).collect();
    members.sort_by_key(|member| (member.role, member.pid));
    members
}

fn is_supervisor(pid: u32) -> bool {
    fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe.to_string_lossy().contains("mod_wsgi-supervisor"))
}

fn member(pid: u32, role: Role) -> Option<Member> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().strip_suffix(" kB")?;
    let mut descriptors = BTreeMap::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten() {
        let Ok(target) = fs::read_link(entry.path()) else { continue };
        let target = target.to_string_lossy().into_owned();
        // `socket:[4711]` is a socket.
        let kind = target.split_once(":[").map_or(target.as_str(), |(kind, _)| kind);
        *descriptors.entry(kind.to_owned()).or_default() += 1;
    }
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
    let shared_memory = maps.lines().filter(|line| line.contains("/memfd:") || line.contains("/SYSV")).count();
    Some(Member { pid, role, resident: resident.parse().ok()?, descriptors, shared_memory })
}
