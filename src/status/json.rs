//! The status as JSON. The names are part of the interface (`docs/monitoring.md`).
#![forbid(unsafe_code)]

use std::time::Duration;

use serde::ser::{Serialize, SerializeMap, Serializer};
use wsgi_wire::table::State;
use wsgi_wire::table::histogram::{BUCKETS, Distribution, bound};

use super::report::{Group, Process, Report, WebSockets};

/// The media type of the document.
pub const CONTENT_TYPE: &[u8] = b"application/json";

/// Renders the whole document. It may stand inside of a `<script>` element: it has no character that means something in
/// HTML.
pub fn render(report: &Report) -> String {
    let document = Document {
        version: crate::VERSION,
        time: report.time,
        started: report.started,
        uptime_seconds: report.time.saturating_sub(report.started),
        generation: report.generation,
        supervisor_up: report.supervisor,
        bucket_bounds_seconds: (0..).map_while(bound).map(|bound| bound.as_secs_f64()).collect(),
        groups: report.groups.iter().map(|group| GroupDocument::of(group, report.time)).collect(),
    };
    // Names, numbers and lists of them always can be JSON.
    let json = serde_json::to_string(&document).unwrap_or_default();
    // Outside of strings JSON has none of these.
    json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

/// The whole document.
#[derive(serde::Serialize)]
struct Document<'a> {
    version: &'a str,
    time: u64,
    started: u64,
    uptime_seconds: u64,
    generation: u32,
    supervisor_up: Option<bool>,
    bucket_bounds_seconds: Vec<f64>,
    groups: Vec<GroupDocument<'a>>,
}

/// The member of a process group.
#[derive(serde::Serialize)]
struct GroupDocument<'a> {
    name: &'a str,
    state: &'static str,
    interface: &'static str,
    processes_configured: u32,
    processes_ready: usize,
    threads: u32,
    threads_busy: u32,
    requests_in_flight: u32,
    requests_waiting: u32,
    requests: Classes,
    requests_refused: Counts<'a>,
    process_exits: Counts<'a>,
    request_duration: DistributionDocument,
    request_wait: DistributionDocument,
    background_tasks: Option<u32>,
    websockets: Option<WebSocketsDocument<'a>>,
    processes: Vec<ProcessDocument>,
}

impl<'a> GroupDocument<'a> {
    fn of(group: &'a Group, now: u64) -> Self {
        Self {
            name: &group.name,
            state: group.condition().name(),
            interface: group.interface.name(),
            processes_configured: group.wanted,
            processes_ready: group.count(State::Ready),
            threads: group.sum(|p| p.status.threads),
            threads_busy: group.busy(),
            requests_in_flight: group.sum(|p| p.status.in_flight),
            requests_waiting: group.waiting,
            requests: Classes::of(group.classes),
            requests_refused: Counts(&group.refused),
            process_exits: Counts(&group.ended),
            request_duration: DistributionDocument::of(&group.latency),
            request_wait: DistributionDocument::of(&group.waits),
            background_tasks: group.is_asgi().then(|| group.all(|status| status.background)),
            websockets: group.websockets.as_ref().map(|counted| WebSocketsDocument::of(group, counted)),
            processes: group.processes.iter().map(|process| ProcessDocument::of(group, process, now)).collect(),
        }
    }
}

/// The WebSockets of a group.
#[derive(serde::Serialize)]
struct WebSocketsDocument<'a> {
    open: u32,
    opened: u64,
    refused: Counts<'a>,
    closed: Counts<'a>,
    messages_in: u64,
    messages_out: u64,
}

impl<'a> WebSocketsDocument<'a> {
    fn of(group: &'a Group, counted: &'a WebSockets) -> Self {
        let sum = |number: fn(&Process) -> u64| group.processes.iter().map(number).fold(0, u64::saturating_add);
        Self {
            open: group.all(|status| status.websockets),
            opened: counted.opened,
            refused: Counts(&counted.refused),
            closed: Counts(&counted.closed),
            messages_in: sum(|process| process.status.messages_in),
            messages_out: sum(|process| process.status.messages_out),
        }
    }
}

/// The number of answers by class of status.
#[derive(serde::Serialize)]
struct Classes {
    #[serde(rename = "1xx")]
    interim: u64,
    #[serde(rename = "2xx")]
    successful: u64,
    #[serde(rename = "3xx")]
    redirection: u64,
    #[serde(rename = "4xx")]
    client_error: u64,
    #[serde(rename = "5xx")]
    server_error: u64,
}

impl Classes {
    fn of([interim, successful, redirection, client_error, server_error]: [u64; 5]) -> Self {
        Self { interim, successful, redirection, client_error, server_error }
    }
}

/// Counts by name, in the order of the list.
struct Counts<'a>(&'a [(&'static str, u64)]);

impl Serialize for Counts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, count) in self.0 {
            map.serialize_entry(name, count)?;
        }
        map.end()
    }
}

/// The member of a distribution of durations.
#[derive(serde::Serialize)]
struct DistributionDocument {
    count: u64,
    sum_seconds: f64,
    mean_seconds: Option<f64>,
    p50_seconds: Option<f64>,
    p95_seconds: Option<f64>,
    p99_seconds: Option<f64>,
    buckets: [u64; BUCKETS],
}

impl DistributionDocument {
    fn of(of: &Distribution) -> Self {
        let seconds = |duration: Option<Duration>| duration.map(|duration| duration.as_secs_f64());
        Self {
            count: of.count(),
            sum_seconds: of.sum.as_secs_f64(),
            mean_seconds: seconds(of.mean()),
            p50_seconds: seconds(of.quantile(0.5)),
            p95_seconds: seconds(of.quantile(0.95)),
            p99_seconds: seconds(of.quantile(0.99)),
            buckets: of.buckets,
        }
    }
}

/// The member of a daemon process.
#[derive(serde::Serialize)]
struct ProcessDocument {
    pid: u32,
    state: &'static str,
    started: u64,
    uptime_seconds: u64,
    generation: u32,
    threads: u32,
    threads_busy: u32,
    requests_in_flight: u32,
    requests: u64,
    resident_memory_bytes: Option<u64>,
    event_loop: Option<EventLoopDocument>,
}

/// The member of a process with an event loop.
#[derive(serde::Serialize)]
struct EventLoopDocument {
    websockets_open: u32,
    background_tasks: u32,
    messages_in: u64,
    messages_out: u64,
    lag: DistributionDocument,
}

impl ProcessDocument {
    fn of(group: &Group, process: &Process, now: u64) -> Self {
        let event_loop = || EventLoopDocument {
            websockets_open: process.status.websockets,
            background_tasks: process.status.background,
            messages_in: process.status.messages_in,
            messages_out: process.status.messages_out,
            lag: DistributionDocument::of(&process.status.lag.distribution()),
        };
        Self {
            pid: process.status.pid,
            state: process.status.state.name(),
            started: process.status.started,
            uptime_seconds: now.saturating_sub(process.status.started),
            generation: process.status.generation,
            threads: process.status.threads,
            threads_busy: process.status.busy,
            requests_in_flight: process.status.in_flight,
            requests: process.status.requests,
            resident_memory_bytes: process.resident,
            event_loop: group.is_asgi().then(event_loop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::example;
    use super::*;

    #[test]
    fn no_name_has_a_meaning_in_html() {
        let document = render(&example::report("a\"\\\n</script>&é"));
        assert!(document.contains(r#""name":"a\"\\\n\u003c/script\u003e\u0026é""#), "{document}");
    }

    #[test]
    fn the_document_has_what_is_documented() {
        let document = render(&example::report("app"));
        assert!(document.contains(r#""background_tasks":null,"websockets":null"#), "{document}");
        let asgi = render(&example::asgi_report("app"));
        for part in [
            r#""websockets":{"open":2,"opened":0,"refused":{"handshake":0,"origin":0,"#,
            r#""event_loop":{"websockets_open":1,"background_tasks":0,"messages_in":7,"messages_out":9,"lag":{"count":0"#,
        ] {
            assert!(asgi.contains(part), "{part} is not in {asgi}");
        }
        for part in [
            r#""uptime_seconds":500"#,
            r#""supervisor_up":true"#,
            r#""name":"app","state":"ready","interface":"wsgi","processes_configured":2,"processes_ready":1,"threads":5,"threads_busy":4"#,
            r#""requests":{"1xx":0,"2xx":2,"3xx":0,"4xx":0,"5xx":1}"#,
            r#""requests_refused":{"queue_full":7,"not_ready":0}"#,
            r#""request_wait":{"count":0,"sum_seconds":0.0,"mean_seconds":null"#,
            r#"{"pid":10,"state":"ready","started":900,"uptime_seconds":100"#,
        ] {
            assert!(document.contains(part), "{part} is not in {document}");
        }
    }
}
