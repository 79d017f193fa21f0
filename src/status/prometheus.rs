//! The status as Prometheus scrapes it: text exposition format 0.0.4. The names are part of the interface
//! (`docs/monitoring.md`).
#![forbid(unsafe_code)]

use std::fmt::{Display, Write};

use wsgi_wire::table::State;
use wsgi_wire::table::histogram::{Distribution, bound};

use super::report::{Group, Process, Report, WebSockets};

/// The media type of the text.
pub const CONTENT_TYPE: &[u8] = b"text/plain; version=0.0.4; charset=utf-8";

/// Renders the report as a text for Prometheus.
pub fn render(report: &Report) -> String {
    let mut out = Exposition(String::new());
    out.family("info", "gauge", "1; the version of mod_wsgi whose interface this is.");
    out.sample("info", &[("version", crate::VERSION)], 1);
    out.family("start_time_seconds", "gauge", "When Apache was started, seconds since the epoch.");
    out.sample("start_time_seconds", &[], report.started);
    out.family(
        "configuration_generation",
        "gauge",
        "Configurations since the start: one more for each graceful restart.",
    );
    out.sample("configuration_generation", &[], report.generation);
    if let Some(alive) = report.supervisor {
        out.family("supervisor_up", "gauge", "Whether the supervisor of the daemon processes runs.");
        out.sample("supervisor_up", &[], u8::from(alive));
    }
    groups(&mut out, &report.groups);
    processes(&mut out, &report.groups);
    event_loops(&mut out, &report.groups);
    out.0
}

fn groups(out: &mut Exposition, groups: &[Group]) {
    type Number = fn(&Group) -> u64;
    let gauges: [(&str, &str, Number); 6] = [
        ("processes_configured", "Processes that the group should have.", |g| g.wanted.into()),
        ("threads", "Threads of the group's ready processes.", |g| g.sum(|p| p.status.threads).into()),
        ("threads_busy", "Threads that execute a request.", |g| g.busy().into()),
        ("requests_in_flight", "Requests that a ready process has been given and not yet answered.", |g| {
            g.sum(|p| p.status.in_flight).into()
        }),
        ("requests_waiting", "Requests that wait for a free thread, in Apache or in a process.", |g| g.waiting.into()),
        ("ready", "Whether the group can answer requests.", |g| {
            u64::from(g.condition() == super::report::Condition::Ready)
        }),
    ];
    for (name, help, number) in gauges {
        out.family(name, "gauge", help);
        for group in groups {
            out.sample(name, &[("group", &group.name)], number(group));
        }
    }
    out.family(
        "processes",
        "gauge",
        "Processes of the group by state; requests of one that is reloading wait for a successor with the new code.",
    );
    for group in groups {
        for state in [State::Starting, State::Ready, State::Reloading, State::Draining] {
            out.sample("processes", &[("group", &group.name), ("state", state.name())], group.count(state));
        }
    }
    out.family("interface", "gauge", "1; what the processes of the group speak.");
    for group in groups {
        out.sample("interface", &[("group", &group.name), ("interface", group.interface.name())], 1);
    }
    out.family("requests_total", "counter", "Requests that processes of the group have answered, by class of status.");
    for group in groups {
        for (class, count) in ["1xx", "2xx", "3xx", "4xx", "5xx"].iter().zip(group.classes) {
            out.sample("requests_total", &[("group", &group.name), ("class", class)], count);
        }
    }
    type Reasons = fn(&Group) -> &[(&'static str, u64)];
    let reasons: [(&str, &str, Reasons); 2] = [
        ("requests_refused_total", "Requests that no process has executed, by reason.", |g| &g.refused),
        ("process_exits_total", "Processes of the group that have ended, by reason.", |g| &g.ended),
    ];
    for (name, help, counts) in reasons {
        out.family(name, "counter", help);
        for group in groups {
            for (reason, count) in counts(group) {
                out.sample(name, &[("group", &group.name), ("reason", reason)], count);
            }
        }
    }
    type Durations = fn(&Group) -> &Distribution;
    let durations: [(&str, &str, Durations); 2] = [
        (
            "request_duration_seconds",
            "Time from the choice of a process to the end of the answer, waiting included.",
            |g| &g.latency,
        ),
        ("request_wait_seconds", "Time that requests waited which did not get a process at once.", |g| &g.waits),
    ];
    for (name, help, distribution) in durations {
        out.family(name, "histogram", help);
        for group in groups {
            out.histogram(name, &[("group", &group.name)], distribution(group));
        }
    }
}

fn processes(out: &mut Exposition, groups: &[Group]) {
    type Number = fn(&Process) -> Option<u64>;
    let families: [(&str, &str, &str, Number); 4] = [
        ("process_start_time_seconds", "gauge", "When the process was started, seconds since the epoch.", |p| {
            Some(p.status.started)
        }),
        ("process_resident_memory_bytes", "gauge", "Resident memory of the process.", |p| p.resident),
        ("process_threads_busy", "gauge", "Threads of the process that execute a request.", |p| {
            Some(p.status.busy.into())
        }),
        ("process_requests_total", "counter", "Requests that the process has finished.", |p| Some(p.status.requests)),
    ];
    for (name, kind, help, number) in families {
        out.family(name, kind, help);
        for group in groups {
            for process in &group.processes {
                if let Some(number) = number(process) {
                    out.sample(name, &[("group", &group.name), ("pid", &process.status.pid.to_string())], number);
                }
            }
        }
    }
}

/// What only groups with event loops have.
fn event_loops(out: &mut Exposition, groups: &[Group]) {
    let groups: Vec<&Group> = groups.iter().filter(|group| group.is_asgi()).collect();
    type Gauge = fn(&Group) -> u32;
    let gauges: [(&str, &str, Gauge); 2] = [
        ("websockets_open", "WebSockets that are open.", |g| g.all(|status| status.websockets)),
        ("background_tasks", "Requests that have their responses while their applications go on.", |g| {
            g.all(|status| status.background)
        }),
    ];
    for (name, help, number) in gauges {
        out.family(name, "gauge", help);
        for group in &groups {
            out.sample(name, &[("group", &group.name)], number(group));
        }
    }
    out.family("websockets_opened_total", "counter", "WebSockets that were granted.");
    for (group, counted) in with_websockets(&groups) {
        out.sample("websockets_opened_total", &[("group", &group.name)], counted.opened);
    }
    type Counts = fn(&WebSockets) -> &[(&'static str, u64)];
    let counts: [(&str, &str, &str, Counts); 2] = [
        (
            "websockets_refused_total",
            "WebSockets that were not granted: the request is no handshake, its page is none of ws-origins, there are too many, the application refuses or has failed.",
            "reason",
            |counted| &counted.refused,
        ),
        (
            "websockets_closed_total",
            "WebSockets that have ended, by the code of their close; 1005 is none, 1006 a lost connection.",
            "code",
            |counted| &counted.closed,
        ),
    ];
    for (name, help, label, counts) in counts {
        out.family(name, "counter", help);
        for (group, counted) in with_websockets(&groups) {
            for (value, count) in counts(counted) {
                out.sample(name, &[("group", &group.name), (label, value)], count);
            }
        }
    }
    event_loop_processes(out, &groups);
}

fn with_websockets<'g>(groups: &[&'g Group]) -> impl Iterator<Item = (&'g Group, &'g WebSockets)> {
    groups.iter().filter_map(|group| Some((*group, group.websockets.as_ref()?)))
}

fn event_loop_processes(out: &mut Exposition, groups: &[&Group]) {
    let all = || groups.iter().flat_map(|group| group.processes.iter().map(|process| (*group, process)));
    out.family("process_websockets_open", "gauge", "WebSockets that are open in the process.");
    for (group, process) in all() {
        let labels = [("group", group.name.as_str()), ("pid", &process.status.pid.to_string())];
        out.sample("process_websockets_open", &labels, process.status.websockets);
    }
    let (name, help) =
        ("process_websocket_messages_total", "Messages of WebSockets, from clients (in) and to them (out).");
    out.family(name, "counter", help);
    for (group, process) in all() {
        for (direction, count) in [("in", process.status.messages_in), ("out", process.status.messages_out)] {
            let pid = process.status.pid.to_string();
            out.sample(name, &[("group", &group.name), ("pid", &pid), ("direction", direction)], count);
        }
    }
    let (name, help) = (
        "process_event_loop_lag_seconds",
        "How late the event loop comes to what it is asked for once a second while there are requests.",
    );
    out.family(name, "histogram", help);
    for (group, process) in all() {
        out.histogram(
            name,
            &[("group", &group.name), ("pid", &process.status.pid.to_string())],
            &process.status.lag.distribution(),
        );
    }
}

/// The text while it grows. All names begin with `mod_wsgi_`.
struct Exposition(String);

impl Exposition {
    // Writing into a String cannot fail, hence the ignored results.
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP mod_wsgi_{name} {help}\n# TYPE mod_wsgi_{name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let _ = write!(self.0, "mod_wsgi_{name}");
        for (index, (label, text)) in labels.iter().enumerate() {
            let _ = write!(self.0, "{}{label}=\"{}\"", if index == 0 { '{' } else { ',' }, escape(text));
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    fn histogram(&mut self, name: &str, labels: &[(&str, &str)], distribution: &Distribution) {
        let mut sum: u64 = 0;
        for (bucket, count) in distribution.buckets.iter().enumerate() {
            sum = sum.saturating_add(*count);
            let bound = bound(bucket).map_or_else(|| "+Inf".to_owned(), |bound| bound.as_secs_f64().to_string());
            self.sample(&format!("{name}_bucket"), &[labels, &[("le", &bound)]].concat(), sum);
        }
        self.sample(&format!("{name}_sum"), labels, distribution.sum.as_secs_f64());
        self.sample(&format!("{name}_count"), labels, sum);
    }
}

/// A label's value, as the format wants it.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::super::report::example;
    use super::*;

    #[test]
    fn every_sample_belongs_to_a_family_that_was_declared_before_it() {
        let text = render(&example::asgi_report("app"));
        let mut declared = Vec::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert!(!declared.iter().any(|(known, _)| *known == name), "{name} twice");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
                declared.push((name, kind));
            } else if !line.starts_with("# HELP ") {
                let (name, kind) = declared.last().unwrap();
                let rest = line.strip_prefix(name).unwrap();
                let rest = if *kind == "histogram" {
                    rest.trim_start_matches(['_', 'b', 'u', 'c', 'k', 'e', 't', 's', 'm', 'o', 'n'])
                } else {
                    rest
                };
                assert!(rest.starts_with(['{', ' ']), "{line}");
                assert!(line.rsplit_once(' ').unwrap().1.parse::<f64>().is_ok(), "{line}");
            }
        }
        assert!(declared.len() > 10);
    }

    #[test]
    fn a_histogram_is_cumulative() {
        let text = render(&example::report("app"));
        let values: Vec<u64> = text
            .lines()
            .filter(|line| line.starts_with("mod_wsgi_request_duration_seconds_bucket"))
            .map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
            .collect();
        assert!(values.is_sorted() && values.last() == Some(&3));
        for line in [
            r#"mod_wsgi_request_duration_seconds_bucket{group="app",le="0.002"} 1"#,
            r#"mod_wsgi_request_duration_seconds_bucket{group="app",le="+Inf"} 3"#,
            r#"mod_wsgi_request_duration_seconds_count{group="app"} 3"#,
            r#"mod_wsgi_request_duration_seconds_sum{group="app"} 0.104"#,
            r#"mod_wsgi_requests_refused_total{group="app",reason="queue_full"} 7"#,
            r#"mod_wsgi_processes{group="app",state="ready"} 1"#,
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn label_values_are_escaped() {
        let text = render(&example::report("a\"b\\c\nd"));
        assert!(text.contains(r#"mod_wsgi_requests_waiting{group="a\"b\\c\nd"} 4"#), "{text}");
    }
}
