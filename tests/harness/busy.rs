//! A server that notes what it executes, so that a run can tell whether anything was executed twice, or was not.

use crate::httpd::{Builder, Httpd};
use crate::processes::alive;
use crate::request::Site;
use crate::wait::eventually;
use std::collections::{BTreeSet, HashMap};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

/// Longest time until all daemons answer.
const DEADLINE: Duration = Duration::from_secs(60);

/// Where the application keeps its notes, in the server's directory.
const NOTES: &str = "apps/executions";

/// The name under which requests are noted that the run itself makes.
const OWN: &str = "own";

/// A server with one daemon group `site` of these options, which serves `/slow` (two seconds), `/brief` (five
/// milliseconds) and everything else at once, after an import that takes this long. A request is noted under its query
/// string.
#[must_use]
pub fn busy(options: &str, import: Duration) -> Builder {
    let source = include_str!("busy.wsgi").replace("{import}", &import.as_secs_f64().to_string());
    Httpd::site(options, &source).file(NOTES, "").conf("MaxKeepAliveRequests 0").log_level("warn")
}

/// Lets daemons of whatever user write their notes, and waits for the first answer.
pub fn open_notes(site: &Httpd) {
    std::fs::set_permissions(site.root().join(NOTES), Permissions::from_mode(0o666)).expect("mode 0666");
    assert_eq!(site.get(&format!("/?{OWN}")).status, 200);
}

/// Waits until so many daemons answer that live, without the `old` ones, and gives their process ids. There should be a
/// load, as for [`daemons`](crate::daemons).
#[must_use]
pub fn whole(site: &Httpd, count: usize, old: &[u32]) -> Vec<u32> {
    let mut seen: BTreeSet<u32> = BTreeSet::new();
    let all = eventually(DEADLINE, || {
        let answer = site.try_request("GET", &format!("/brief?{OWN}"), &[], b"").ok()?;
        seen.extend(answer.text().split(' ').next().and_then(|pid| pid.parse::<u32>().ok()));
        seen.retain(|pid| alive(*pid) && !old.contains(pid));
        (seen.len() == count).then_some(())
    });
    assert!(all.is_some(), "only {seen:?} serve: {:#?}", site.census());
    seen.into_iter().collect()
}

/// The processes that have executed each request, by its name.
#[must_use]
pub fn executions(site: &Httpd) -> HashMap<String, Vec<u32>> {
    let notes = std::fs::read_to_string(site.root().join(NOTES)).expect("notes");
    let mut executions: HashMap<String, Vec<u32>> = HashMap::new();
    for (name, pid) in notes.lines().filter_map(|line| line.split_once(' ')).filter(|(name, _)| *name != OWN) {
        executions.entry(name.to_owned()).or_default().push(pid.parse().expect("a pid"));
    }
    executions
}
