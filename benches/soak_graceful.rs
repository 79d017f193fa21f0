//! Graceful restarts, one after the other under a light load, of a server with two daemon groups, a virtual host with a
//! log of its own and an application in embedded mode. No request may fail; parent, supervisor, children and daemons
//! stay as large as they were; no process, zombie, descriptor, socket file or shared memory is left behind by any of
//! them.
//!
//! `cargo bench -p wsgi-tests --bench soak_graceful [-- RESTARTS]`

use harness::{Httpd, Job, Load, Member, PROBE, Role, Site, Verdict, alive, eventually, repetitions};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

const RESTARTS: usize = 500;
/// Restarts until everything is as large as it gets.
const WARM_UP: usize = 20;
/// Parts of the work; after each of them everything is counted.
const STAGES: usize = 10;
const CLIENTS: usize = 2;
/// How far resident memory may be from what it was after the warm-up, KiB.
const MEMORY: u64 = 2048;
/// Longest time for a restart.
const DEADLINE: Duration = Duration::from_secs(60);
/// Where the two daemon groups and the application in embedded mode are.
const MOUNTS: [&str; 3] = ["/one", "/two", "/embedded"];

fn main() -> ExitCode {
    let restarts = repetitions(RESTARTS);
    let mut site = Httpd::builder()
        .app("probe.wsgi", PROBE)
        .conf(
            "WSGIDaemonProcess one processes=2 threads=3\nWSGIDaemonProcess two\n\
             WSGIScriptAlias /one {apps}/probe.wsgi process-group=one application-group=%{GLOBAL}\n\
             WSGIScriptAlias /two {apps}/probe.wsgi process-group=two application-group=%{GLOBAL}\n\
             WSGIScriptAlias /embedded {apps}/probe.wsgi application-group=%{GLOBAL}\n\
             <VirtualHost *:{port}>\nServerName elsewhere\nErrorLog {root}/logs/elsewhere.log\nWSGIDaemonProcess elsewhere\n</VirtualHost>",
        )
        .log_level("warn")
        .start();
    let load = Load::mixed(&site, &MOUNTS.map(|mount| Job::get(&format!("{mount}?time.sleep(0.005)"))), CLIENTS);
    restart(&mut site, WARM_UP);
    let before = Stage::of(&site);
    println!("{WARM_UP:>4} restarts to warm up: {before}");
    let begun = Instant::now();
    let mut after = Vec::new();
    for stage in 1..=STAGES {
        restart(&mut site, restarts / STAGES);
        after.push(Stage::of(&site));
        println!("{:>4} after {:>3.0?}: {}", restarts / STAGES * stage, begun.elapsed(), after[stage - 1]);
    }
    let outcomes = load.stop();
    let failed: Vec<_> = outcomes.iter().filter(|outcome| !outcome.is_success()).collect();
    let crashed = site.log.text().matches("AH00052").count();
    site.finish();
    let mut verdict = Verdict::default();
    verdict.bound(format!("{} requests, {} failed {failed:#?}", outcomes.len(), failed.len()), failed.is_empty());
    verdict.bound(format!("{crashed} Apache children were ended by a signal"), crashed == 0);
    judge(&before, &after, &mut verdict);
    verdict.exit_code()
}

/// Restarts so often, each time waiting until all processes are new ones and nothing of the old ones is left.
fn restart(site: &mut Httpd, times: usize) {
    for _ in 0..times {
        let old: Vec<_> = site.census().iter().filter(|member| is_replaced(member.role)).map(|m| m.pid).collect();
        site.signal(libc::SIGUSR1);
        let replaced = eventually(DEADLINE, || (!old.iter().any(|pid| alive(*pid))).then_some(()));
        assert!(replaced.is_some(), "of {old:?} some still run: {:#?}", site.census());
        for mount in MOUNTS {
            assert_eq!(site.ask_at(mount, "1"), 1);
        }
    }
}

/// Whether a restart ends processes of this kind.
fn is_replaced(role: Role) -> bool {
    matches!(role, Role::Child | Role::Daemon)
}

/// What there is after a stage.
struct Stage {
    members: Vec<Member>,
    zombies: usize,
    /// Files in Apache's run directory, System V segments and files in `/dev/shm`.
    files: usize,
}

impl Stage {
    fn of(site: &Httpd) -> Self {
        // What has just been started opens and closes files for a moment.
        std::thread::sleep(Duration::from_millis(500));
        let segments = std::fs::read_to_string("/proc/sysvipc/shm").unwrap_or_default().lines().count();
        let files = segments + count(&site.root().join("run")) + count(Path::new("/dev/shm"));
        Self { members: site.census(), zombies: site.zombies().len(), files }
    }

    /// The largest figure of each role.
    fn largest<T: Ord>(&self, figure: impl Fn(&Member) -> T) -> BTreeMap<Role, T> {
        let mut largest = BTreeMap::new();
        for member in &self.members {
            let figure = figure(member);
            if largest.get(&member.role).is_none_or(|known| *known < figure) {
                largest.insert(member.role, figure);
            }
        }
        largest
    }

    fn counts(&self) -> BTreeMap<Role, usize> {
        let mut counts = BTreeMap::new();
        for member in &self.members {
            *counts.entry(member.role).or_default() += 1;
        }
        counts
    }
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (role, resident) in self.largest(|member| member.resident) {
            write!(f, "{role:?} {resident} ")?;
        }
        let descriptors: Vec<_> = self.largest(Member::open).into_values().collect();
        let shared: Vec<_> = self.largest(|member| member.shared_memory).into_values().collect();
        write!(f, "KiB, {descriptors:?} descriptors, {shared:?} shared mappings, ")?;
        write!(f, "{} processes, {} zombies, {} files", self.members.len(), self.zombies, self.files)
    }
}

fn count(directory: &Path) -> usize {
    std::fs::read_dir(directory).into_iter().flatten().count()
}

fn judge(before: &Stage, after: &[Stage], verdict: &mut Verdict) {
    let resident = before.largest(|member| member.resident);
    for (role, was) in &resident {
        let now = after.iter().map(|stage| stage.largest(|member| member.resident).get(role).copied().unwrap_or(0));
        let worst = now.map(|now| now.abs_diff(*was)).max().unwrap_or(0);
        verdict.bound(format!("{role:?}: resident memory within {worst} KiB (bound {MEMORY})"), worst <= MEMORY);
    }
    for role in [Role::Parent, Role::Supervisor] {
        let of = |stage: &Stage| {
            let mut members = stage.members.iter().filter(|member| member.role == role);
            members.next().map(|member| (member.descriptors.clone(), member.shared_memory))
        };
        let (was, now) = (of(before), after.last().and_then(of));
        verdict.bound(format!("{role:?}: the same descriptors and shared memory"), was == now);
        if was != now {
            println!("     {was:?}\n     {now:?}");
        }
    }
    let same = |figure: fn(&Stage) -> String| after.iter().all(|stage| figure(stage) == figure(before));
    verdict.bound("as many processes of each kind", same(|stage| format!("{:?}", stage.counts())));
    verdict.bound("no zombies", after.iter().all(|stage| stage.zombies == 0));
    verdict.bound("as many socket files and segments of shared memory", same(|stage| stage.files.to_string()));
}
