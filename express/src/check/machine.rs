//! Checks the limits of the machine: descriptors, memory, SELinux.

use camino::Utf8Path;
use nix::sys::resource::{Resource, getrlimit};

use crate::finding::Finding;
use crate::plan::Plan;

/// How many descriptors an Apache child needs besides those of its workers.
const DESCRIPTORS: u64 = 64;
/// How many descriptors a worker needs: its client, a process of the application, a file.
const DESCRIPTORS_OF_A_WORKER: u64 = 3;

/// Checks the machine; `resident` is the memory of one process of the application.
pub fn findings(plan: &Plan, resident: Option<u64>) -> Vec<Finding> {
    let processes = u64::from(plan.options.capacity.processes.unwrap_or(1));
    let root = Utf8Path::new("/");
    [
        descriptors(plan),
        descriptors_of_websockets(plan),
        resident.and_then(|each| memory(each, processes, memory_limit(root)?)),
        selinux(root, &plan.working_directory),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn descriptors(plan: &Plan) -> Option<Finding> {
    let (allowed, _) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    let needed = DESCRIPTORS + DESCRIPTORS_OF_A_WORKER * plan.server.sizes.threads_per_child;
    let text = || {
        format!(
            "a process may open {allowed} files, and one of Apache with {} threads needs {needed}: ulimit -n {needed}, or LimitNOFILE={needed} in the systemd unit",
            plan.server.sizes.threads_per_child
        )
    };
    (allowed < needed).then(|| Finding::warning("descriptors", text()))
}

/// What WebSockets need beyond that: both halves raise their limit as far as the system lets them.
fn descriptors_of_websockets(plan: &Plan) -> Option<Finding> {
    let (_, allowed) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    let sizes = plan.server.sizes;
    let (all, processes) = (plan.options.websockets(), u64::from(plan.options.capacity.processes.unwrap_or(1)));
    // A child accepts no more of them.
    let most = sizes.threads_per_child * (1 + sizes.connection_factor.unwrap_or(0));
    let child = DESCRIPTORS_OF_A_WORKER * sizes.threads_per_child + 2 * all.min(most);
    let needed = DESCRIPTORS + child.max(all.div_ceil(processes));
    let text = || {
        format!(
            "a process may open {allowed} files at the most, and {all} WebSockets need {needed}: LimitNOFILE={needed} in the systemd unit, ulimit -Hn {needed}, or a lower --limit-websockets"
        )
    };
    (sizes.connection_factor.is_some() && allowed < needed).then(|| Finding::warning("descriptors", text()))
}

/// How many bytes processes that are started from here can have.
fn memory_limit(root: &Utf8Path) -> Option<u64> {
    let read = |path: &str| std::fs::read_to_string(root.join(path)).ok();
    let group = read("proc/self/cgroup").and_then(|all| {
        let own = all.lines().find_map(|line| line.strip_prefix("0::/"))?.to_owned();
        let directory = Utf8Path::new("sys/fs/cgroup").join(own);
        let limits = directory
            .ancestors()
            .filter_map(|directory| read(directory.join("memory.max").as_str())?.trim().parse::<u64>().ok());
        limits.min()
    });
    let available = read("proc/meminfo").and_then(|all| {
        let line = all.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
        Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
    });
    group.into_iter().chain(available).min()
}

fn memory(each: u64, processes: u64, limit: u64) -> Option<Finding> {
    let needed = each.saturating_mul(processes);
    let megabytes = |bytes: u64| bytes >> 20;
    let text = || {
        format!(
            "the application takes {} MiB, so its {processes} processes take {} MiB, and {} MiB are to be had: fewer --processes with more --threads, or more memory",
            megabytes(each),
            megabytes(needed),
            megabytes(limit)
        )
    };
    (needed > limit).then(|| Finding::warning("memory", text()))
}

fn selinux(root: &Utf8Path, directory: &Utf8Path) -> Option<Finding> {
    let enforced = std::fs::read_to_string(root.join("sys/fs/selinux/enforce")).is_ok_and(|mode| mode.trim() == "1");
    let text = || {
        format!(
            "SELinux enforces its policy: an Apache that is a service of the system reads only what is labelled for it (chcon -R -t httpd_sys_content_t {directory}), and opens connections only after setsebool -P httpd_can_network_connect on"
        )
    };
    enforced.then(|| Finding::warning("selinux", text()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_memory_than_there_is_is_noticed() {
        assert_eq!(memory(1 << 20, 4, 4 << 20), None);
        let text = memory(3 << 20, 2, 4 << 20).unwrap().message;
        assert!(text.contains("3 MiB") && text.contains("6 MiB") && text.contains("4 MiB"), "{text}");
    }

    #[test]
    fn limits_and_modes_are_read_where_the_kernel_has_them() {
        let root = std::env::temp_dir().join(format!("express-machine-{}", std::process::id()));
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("proc/meminfo", "MemTotal: 9 kB\nMemAvailable:    8192 kB\n");
        write("proc/self/cgroup", "0::/a/b\n");
        write("sys/fs/cgroup/a/b/memory.max", "max\n");
        write("sys/fs/cgroup/a/memory.max", "4194304\n");
        let place = Utf8Path::from_path(&root).unwrap();
        assert_eq!(memory_limit(place), Some(4 << 20));
        assert_eq!(selinux(place, "/srv".into()), None);
        write("sys/fs/selinux/enforce", "1");
        assert!(selinux(place, "/srv".into()).unwrap().message.contains("/srv"));
        std::fs::remove_dir_all(&root).unwrap();
    }
}
