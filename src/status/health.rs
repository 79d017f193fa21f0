//! Answers for load balancers and orchestrators, which ask whether the server lives and whether it can answer requests.
#![forbid(unsafe_code)]

use super::report::{Condition, Report};

/// A status, and a line that says why.
pub type Verdict = (u16, String);

/// The answer to whether the server lives. Apache does, since it is asked; the supervisor must be there to keep the
/// processes running.
pub fn live(report: &Report) -> Verdict {
    match report.supervisor {
        Some(false) => (503, "the supervisor of the daemon processes is not running\n".to_owned()),
        _ => (200, "live\n".to_owned()),
    }
}

/// The answer to whether every process group, or the one named, has a process that takes requests.
pub fn ready(report: &Report, name: Option<&[u8]>) -> Verdict {
    let name = name.map(String::from_utf8_lossy);
    if let Some(name) = &name {
        if !report.groups.iter().any(|group| group.name == **name) {
            return (404, "there is no process group of that name\n".to_owned());
        }
    }
    let asked = report.groups.iter().filter(|group| name.as_deref().is_none_or(|name| name == group.name));
    match asked.into_iter().find(|group| group.condition() != Condition::Ready) {
        Some(group) => (503, format!("process group '{}' is {}\n", one_line(&group.name), group.condition().name())),
        None => (200, "ready\n".to_owned()),
    }
}

/// A name that cannot break out of its line.
pub fn one_line(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::report::example::{process, report};
    use super::*;
    use wsgi_wire::table::State;

    #[test]
    fn a_server_without_its_supervisor_is_not_live() {
        let mut report = report("app");
        assert_eq!(live(&report).0, 200);
        report.supervisor = None;
        assert_eq!(live(&report).0, 200);
        report.supervisor = Some(false);
        assert_eq!(live(&report).0, 503);
    }

    #[test]
    fn all_groups_have_to_be_ready_unless_one_is_named() {
        let mut both = report("a\nb");
        both.groups.extend(report("up").groups);
        assert_eq!(ready(&both, None).0, 200);
        both.groups[0].processes = vec![process(1, State::Starting)];
        assert_eq!(ready(&both, None), (503, "process group 'a?b' is starting\n".to_owned()));
        assert_eq!(ready(&both, Some(b"up")).0, 200);
        assert_eq!(ready(&both, Some(b"a\nb")).0, 503);
        assert_eq!(ready(&both, Some(b"none")).0, 404);
    }
}
