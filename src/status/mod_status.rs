//! Our part of mod_status' page: a table for people, lines for `?auto`.
#![forbid(unsafe_code)]

use std::fmt::Write;

use wsgi_wire::table::State;

use super::health::one_line;
use super::report::{Group, Report};

/// A figure of a group: its name for programs, its name for people, and the function that reads it.
type Column = (&'static str, &'static str, fn(&Group) -> String);

const COLUMNS: [Column; 11] = [
    ("State", "State", |g| g.condition().name().to_owned()),
    ("Interface", "Interface", |g| g.interface.name().to_owned()),
    ("Ready", "Ready processes", |g| g.count(State::Ready).to_string()),
    ("Processes", "Processes", |g| g.wanted.to_string()),
    ("Threads", "Threads", |g| g.sum(|p| p.status.threads).to_string()),
    ("BusyThreads", "Busy threads", |g| g.busy().to_string()),
    ("Waiting", "Requests waiting", |g| g.waiting.to_string()),
    ("Requests", "Requests", |g| g.classes.iter().sum::<u64>().to_string()),
    ("Refused", "Refused", |g| g.refused.iter().map(|(_, count)| count).sum::<u64>().to_string()),
    ("WebSockets", "WebSockets", |g| g.all(|status| status.websockets).to_string()),
    ("MeanMilliseconds", "Mean time (ms)", |g| {
        g.latency.mean().map_or("0".to_owned(), |mean| format!("{:.2}", mean.as_secs_f64() * 1e3))
    }),
];

/// Renders the part for `?auto`: one line for each figure, the group in brackets.
pub fn lines(report: &Report) -> String {
    let mut out = String::new();
    for group in &report.groups {
        for (name, _, value) in COLUMNS {
            // Writing into a String cannot fail.
            let _ = writeln!(out, "Wsgi{name}[{}]: {}", one_line(&group.name), value(group));
        }
    }
    out
}

/// Renders a table of all groups.
pub fn table(report: &Report) -> String {
    let head: String = COLUMNS.iter().map(|(_, title, _)| format!("<th scope=\"col\">{title}</th>")).collect();
    let mut out = format!(
        "<hr>\n<h2>mod_wsgi process groups</h2>\n<table border=\"0\"><tr><th scope=\"col\">Group</th>{head}</tr>\n"
    );
    for group in &report.groups {
        let cells: String = COLUMNS.iter().map(|(_, _, value)| format!("<td>{}</td>", value(group))).collect();
        let _ = writeln!(out, "<tr><th scope=\"row\">{}</th>{cells}</tr>", escape(&group.name));
    }
    out + "</table>\n"
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::super::report::example::report;
    use super::*;

    #[test]
    fn each_figure_has_a_line_of_its_own() {
        let text = lines(&report("a\nb"));
        assert_eq!(text.lines().count(), COLUMNS.len());
        assert!(text.contains("WsgiBusyThreads[a?b]: 4\n") && text.contains("WsgiRequests[a?b]: 3\n"), "{text}");
    }

    #[test]
    fn names_cannot_become_markup() {
        let text = table(&report("<b>&"));
        assert!(text.contains(">&lt;b&gt;&amp;</th>") && !text.contains("<b>"), "{text}");
    }
}
