//! The status as JSON. The names are part of the interface (`docs/monitoring.md`).
#![forbid(unsafe_code)]

use std::fmt::Write;

use wsgi_wire::table::State;
use wsgi_wire::table::histogram::{Distribution, bound};

use super::report::{Group, Process, Report, state_name};

/// The type of the content.
pub const CONTENT_TYPE: &[u8] = b"application/json";

/// The whole document. It may stand inside of a `<script>` element: no character has a meaning in HTML.
pub fn render(report: &Report) -> String {
    object(&[
        ("version", text(crate::VERSION)),
        ("time", report.time.to_string()),
        ("started", report.started.to_string()),
        ("uptime_seconds", report.time.saturating_sub(report.started).to_string()),
        ("generation", report.generation.to_string()),
        ("supervisor_up", report.supervisor.map_or("null".to_owned(), |alive| alive.to_string())),
        ("bucket_bounds_seconds", list((0..).map_while(bound).map(|bound| bound.as_secs_f64().to_string()))),
        ("groups", list(report.groups.iter().map(|of| group(of, report.time)))),
    ])
}

fn group(group: &Group, now: u64) -> String {
    let counts = |counts: &[(&'static str, u64)]| {
        let counts: Vec<_> = counts.iter().map(|(name, count)| (*name, count.to_string())).collect();
        object(&counts)
    };
    let classes: Vec<_> = ["1xx", "2xx", "3xx", "4xx", "5xx"].into_iter().zip(group.classes).collect();
    object(&[
        ("name", text(&group.name)),
        ("state", text(group.condition().name())),
        ("processes_configured", group.wanted.to_string()),
        ("processes_ready", group.count(State::Ready).to_string()),
        ("threads", group.sum(|p| p.threads).to_string()),
        ("threads_busy", group.busy().to_string()),
        ("requests_in_flight", group.sum(|p| p.in_flight).to_string()),
        ("requests_waiting", group.waiting.to_string()),
        ("requests", counts(&classes)),
        ("requests_refused", counts(&group.refused)),
        ("process_exits", counts(&group.ended)),
        ("request_duration", distribution(&group.latency)),
        ("request_wait", distribution(&group.waits)),
        ("processes", list(group.processes.iter().map(|of| process(of, now)))),
    ])
}

fn process(process: &Process, now: u64) -> String {
    object(&[
        ("pid", process.pid.to_string()),
        ("state", text(state_name(process.state))),
        ("started", process.started.to_string()),
        ("uptime_seconds", now.saturating_sub(process.started).to_string()),
        ("generation", process.generation.to_string()),
        ("threads", process.threads.to_string()),
        ("threads_busy", process.busy.to_string()),
        ("requests_in_flight", process.in_flight.to_string()),
        ("requests", process.requests.to_string()),
        ("resident_memory_bytes", process.resident.map_or("null".to_owned(), |bytes| bytes.to_string())),
    ])
}

fn distribution(of: &Distribution) -> String {
    let seconds = |duration: Option<std::time::Duration>| {
        duration.map_or("null".to_owned(), |duration| duration.as_secs_f64().to_string())
    };
    object(&[
        ("count", of.count().to_string()),
        ("sum_seconds", of.sum.as_secs_f64().to_string()),
        ("mean_seconds", seconds(of.mean())),
        ("p50_seconds", seconds(of.quantile(0.5))),
        ("p95_seconds", seconds(of.quantile(0.95))),
        ("p99_seconds", seconds(of.quantile(0.99))),
        ("buckets", list(of.buckets.iter().map(u64::to_string))),
    ])
}

/// An object of values that are JSON already.
fn object(members: &[(&str, String)]) -> String {
    let members: Vec<String> = members.iter().map(|(name, value)| format!("{}:{value}", text(name))).collect();
    format!("{{{}}}", members.join(","))
}

fn list(values: impl Iterator<Item = String>) -> String {
    format!("[{}]", values.collect::<Vec<_>>().join(","))
}

fn text(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\x1f' | '\x7f' => {
                // Writing into a String cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    out + "\""
}

#[cfg(test)]
mod tests {
    use super::super::report::example;
    use super::*;

    #[test]
    fn strings_are_escaped_for_json_and_html() {
        assert_eq!(text("a\"\\\n</script>é"), r#""a\"\\\u000a\u003c/script\u003eé""#);
    }

    #[test]
    fn the_document_has_what_is_documented() {
        let document = render(&example::report("app"));
        for part in [
            r#""uptime_seconds":500"#,
            r#""supervisor_up":true"#,
            r#""name":"app","state":"ready","processes_configured":2,"processes_ready":1,"threads":5,"threads_busy":4"#,
            r#""requests":{"1xx":0,"2xx":2,"3xx":0,"4xx":0,"5xx":1}"#,
            r#""requests_refused":{"queue_full":7,"not_ready":0}"#,
            r#""request_wait":{"count":0,"sum_seconds":0,"mean_seconds":null"#,
            r#"{"pid":10,"state":"ready","started":900,"uptime_seconds":100"#,
        ] {
            assert!(document.contains(part), "{part} is not in {document}");
        }
        assert_eq!(document.matches(['{', '[']).count(), document.matches(['}', ']']).count());
    }
}
