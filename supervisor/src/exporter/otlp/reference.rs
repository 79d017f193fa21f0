//! The page of the documentation that is made of what a collector is told.

use std::collections::BTreeMap;

use wsgi_wire::interface::Interface;
use wsgi_wire::status::WebSocketsStatus;
use wsgi_wire::table::histogram::BUCKETS;
use wsgi_wire::table::{Ending, Refusal, WebSocketCounts};

use super::*;

const HEAD: &str = "# What a collector of OpenTelemetry gets

With [`WSGIOpenTelemetry`](monitoring.md#opentelemetry). Each point of a group has the attribute `wsgi.process_group`. This page is made of a report:
`UPDATE_OTLP=1 cargo test -p mod_wsgi-supervisor reference`.

## Metrics

| metric | kind | unit | attributes |
|---|---|---|---|
";

const SPANS: &str = "
## Spans

One of the kind `SERVER` for each request that was chosen, named after the method and the URL at which the application is mounted; a status of 500 or more is an error.

| attribute | such as |
|---|---|
";

/// The attributes whose values are those of this server, and not words of the interface.
const OPEN: [&str; 2] = ["wsgi.process_group", "process.pid"];

fn bytes(text: &str) -> Bytes {
    Bytes::from(text.as_bytes())
}

/// A group with everything that can be told of one.
fn group() -> Figures {
    let durations = || Durations { nanoseconds: 0, buckets: vec![0; BUCKETS] };
    let process = ProcessStatus {
        pid: std::process::id(),
        state: State::Ready,
        started: 1,
        generation: 1,
        threads: 5,
        busy: 1,
        in_flight: 1,
        requests: 1,
        websockets: 0,
        background: 0,
        messages_in: 0,
        messages_out: 0,
        lag: Durations::default(),
    };
    let group = GroupStatus {
        name: bytes("shop"),
        wanted: 1,
        threads: 5,
        waiting: 0,
        classes: vec![0; 5],
        refused: Refusal::all().map(|why| (bytes(why.name()), 0)).collect(),
        ended: Ending::all().map(|ending| (bytes(ending.name()), 0)).collect(),
        latency: durations(),
        waits: durations(),
        interface: Interface::Asgi,
        websockets: WebSocketsStatus::of(&WebSocketCounts::default()),
        lag: durations(),
        processes: vec![process],
    };
    Figures { started: 1, group }
}

/// A request with everything that can be told of one.
fn request() -> Span {
    Span {
        trace: (1, 1),
        id: 1,
        parent: 0,
        start: 0,
        end: 1,
        status: 200,
        close: 1001,
        lost: 0,
        method: bytes("GET"),
        path: bytes("/shop/basket"),
        mount: bytes("/shop"),
        scheme: bytes("https"),
        server: bytes("shop.example"),
        port: 443,
        protocol: bytes("HTTP/1.1"),
        client: bytes("192.0.2.7"),
        user_agent: bytes("curl/8.5.0"),
        process_group: bytes("shop"),
        application_group: bytes("admin"),
    }
}

/// An attribute's value, whatever its type.
fn value(attribute: &Value) -> &str {
    let value = &attribute["value"];
    value["stringValue"].as_str().or(value["intValue"].as_str()).unwrap()
}

fn row(metric: &Value) -> String {
    let kinds = [("gauge", "gauge"), ("sum", "counter"), ("histogram", "histogram")];
    let (member, kind) = kinds.into_iter().find(|(member, _)| !metric[member].is_null()).unwrap();
    let mut attributes: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for point in metric[member]["dataPoints"].as_array().unwrap() {
        for attribute in point["attributes"].as_array().into_iter().flatten() {
            let values = attributes.entry(attribute["key"].as_str().unwrap()).or_default();
            let value = format!("`{}`", value(attribute));
            if !values.contains(&value) {
                values.push(value);
            }
        }
    }
    let told: Vec<String> = attributes
        .into_iter()
        .filter(|(name, _)| *name != "wsgi.process_group")
        .map(
            |(name, values)| {
                if OPEN.contains(&name) { format!("`{name}`") } else { format!("`{name}`: {}", values.join(", ")) }
            },
        )
        .collect();
    let [name, unit] = ["name", "unit"].map(|member| metric[member].as_str().unwrap());
    format!("| `{name}` | {kind} | `{unit}` | {} |\n", told.join("; "))
}

fn page() -> String {
    let metrics: Value = serde_json::from_str(&metrics(&[], &[group()], 0)).unwrap();
    let metrics = metrics["resourceMetrics"][0]["scopeMetrics"][0]["metrics"].as_array().unwrap();
    let traces: Value = serde_json::from_str(&traces(&[], &[request()])).unwrap();
    let attributes = traces["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"].as_array().unwrap();
    let of_span =
        |attribute: &Value| format!("| `{}` | `{}` |\n", attribute["key"].as_str().unwrap(), value(attribute));
    let (metrics, spans): (String, String) =
        (metrics.iter().map(row).collect(), attributes.iter().map(of_span).collect());
    [HEAD, &metrics, SPANS, &spans].concat()
}

#[test]
fn the_page_of_the_documentation_is_that_of_the_report() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/otlp.md");
    if std::env::var_os("UPDATE_OTLP").is_some() {
        std::fs::write(path, page()).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(written == page(), "docs/otlp.md is stale: UPDATE_OTLP=1 cargo test -p mod_wsgi-supervisor reference");
}
