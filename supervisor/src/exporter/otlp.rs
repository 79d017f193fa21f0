//! The documents of OTLP as JSON (OpenTelemetry protocol 1.x), which a collector reads.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use wsgi_unix::process::resident;
use wsgi_wire::codec::Bytes;
use wsgi_wire::export::{Figures, Span};
use wsgi_wire::status::{Durations, GroupStatus, ProcessStatus};
use wsgi_wire::table::State;
use wsgi_wire::table::histogram::bound;

/// The kind of a span: that of a server.
const SERVER: u8 = 2;

/// The status of a span: an error.
const ERROR: u8 = 2;

/// The temporality of sums: they count from the start of the server.
const CUMULATIVE: u8 = 2;

/// The attributes of a resource, by name.
type Resource = [(String, String)];

/// Makes the report of requests.
pub fn traces(resource: &Resource, spans: &[Span]) -> String {
    let spans: Vec<Value> = spans.iter().map(span).collect();
    json!({"resourceSpans": [{
        "resource": {"attributes": attributes(resource.iter().map(|(key, value)| (key.as_str(), text(value))))},
        "scopeSpans": [{"scope": scope(), "spans": spans}],
    }]})
    .to_string()
}

fn span(span: &Span) -> Value {
    let bytes = |bytes: &[u8]| text(&String::from_utf8_lossy(bytes));
    let optional = [
        ("user_agent.original", &span.user_agent),
        ("wsgi.process_group", &span.process_group),
        ("wsgi.application_group", &span.application_group),
        ("http.route", &span.mount),
    ];
    let protocol = span.protocol.strip_prefix(b"HTTP/").unwrap_or(&span.protocol);
    let all = [
        ("http.request.method", bytes(&span.method)),
        ("url.path", bytes(&span.path)),
        ("url.scheme", bytes(&span.scheme)),
        ("server.address", bytes(&span.server)),
        ("server.port", integer(span.port.into())),
        ("client.address", bytes(&span.client)),
        ("network.protocol.version", bytes(protocol)),
        ("http.response.status_code", integer(span.status.into())),
    ];
    let close = (span.close != 0).then(|| ("wsgi.websocket.close_code", integer(span.close.into())));
    let all = all
        .into_iter()
        .chain(close)
        .chain(optional.into_iter().filter(|(_, value)| !value.is_empty()).map(|(key, value)| (key, bytes(value))));
    let (method, mount) = (String::from_utf8_lossy(&span.method), String::from_utf8_lossy(&span.mount));
    let mut told = json!({
        "traceId": format!("{:016x}{:016x}", span.trace.0, span.trace.1),
        "spanId": format!("{:016x}", span.id),
        "flags": 1,
        "name": if mount.is_empty() { method.into_owned() } else { format!("{method} {mount}") },
        "kind": SERVER,
        "startTimeUnixNano": nanoseconds(Duration::from_micros(span.start)),
        "endTimeUnixNano": nanoseconds(Duration::from_micros(span.end)),
        "attributes": attributes(all),
    });
    if span.parent != 0 {
        told["parentSpanId"] = json!(format!("{:016x}", span.parent));
    }
    if span.status >= 500 {
        told["status"] = json!({"code": ERROR});
    }
    told
}

/// Makes the report of what the process table has. `lost` is how many spans have been lost.
pub fn metrics(resource: &Resource, groups: &[Figures], lost: u64) -> String {
    let now = nanoseconds(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
    let mut metrics: Vec<Value> =
        gauges().into_iter().map(|(name, unit, of)| gauge(name, unit, groups, &now, of)).collect();
    metrics.extend(sums().into_iter().map(|(name, unit, of)| sum(name, unit, groups, &now, of)));
    metrics.extend([
        histogram("mod_wsgi.request.duration", groups, &now, |group| &group.latency),
        histogram("mod_wsgi.request.wait", groups, &now, |group| &group.waits),
    ]);
    metrics.push(json!({
        "name": "mod_wsgi.spans.lost",
        "unit": "{span}",
        "sum": {"aggregationTemporality": CUMULATIVE, "isMonotonic": true, "dataPoints": [
            {"timeUnixNano": now, "startTimeUnixNano": started(groups.first()), "asInt": lost.to_string()},
        ]},
    }));
    json!({"resourceMetrics": [{
        "resource": {"attributes": attributes(resource.iter().map(|(key, value)| (key.as_str(), text(value))))},
        "scopeMetrics": [{"scope": scope(), "metrics": metrics}],
    }]})
    .to_string()
}

/// The values of a group, each with the attributes that it has besides.
type Values = Vec<(Vec<(&'static str, Value)>, u64)>;

/// A metric: its name, its unit and its values.
type Metric = (&'static str, &'static str, fn(&GroupStatus) -> Values);

fn gauges() -> [Metric; 10] {
    [
        ("mod_wsgi.processes.configured", "{process}", |g| one(g.wanted)),
        ("mod_wsgi.processes", "{process}", |g| {
            let states = [State::Starting, State::Ready, State::Reloading, State::Draining].into_iter();
            states.map(|state| (vec![("state", text(state.name()))], g.count(state) as u64)).collect()
        }),
        ("mod_wsgi.threads", "{thread}", |g| one(g.of_ready(|process| process.threads))),
        ("mod_wsgi.threads.busy", "{thread}", |g| one(g.of_all(|process| process.busy.into()))),
        ("mod_wsgi.requests.in_flight", "{request}", |g| one(g.of_ready(|process| process.in_flight))),
        ("mod_wsgi.requests.waiting", "{request}", |g| one(g.waiting)),
        ("mod_wsgi.websockets.open", "{websocket}", |g| one(g.of_all(|process| process.websockets.into()))),
        ("mod_wsgi.process.memory", "By", |g| of_processes(g, |process| resident(process.pid))),
        ("mod_wsgi.process.threads.busy", "{thread}", |g| of_processes(g, |process| Some(process.busy.into()))),
        ("mod_wsgi.process.start_time", "s", |g| of_processes(g, |process| Some(process.started))),
    ]
}

fn sums() -> [Metric; 7] {
    [
        ("mod_wsgi.requests", "{request}", |g| {
            let classes = ["1xx", "2xx", "3xx", "4xx", "5xx"].into_iter().zip(&g.classes);
            classes.map(|(class, count)| (vec![("class", text(class))], *count)).collect()
        }),
        ("mod_wsgi.requests.refused", "{request}", |g| named("reason", &g.refused)),
        ("mod_wsgi.websockets.opened", "{websocket}", |g| vec![(Vec::new(), g.websockets.opened)]),
        ("mod_wsgi.websockets.refused", "{websocket}", |g| named("reason", &g.websockets.refused)),
        ("mod_wsgi.websockets.closed", "{websocket}", |g| named("code", &g.websockets.closed)),
        ("mod_wsgi.process.exits", "{process}", |g| named("reason", &g.ended)),
        ("mod_wsgi.process.requests", "{request}", |g| of_processes(g, |process| Some(process.requests))),
    ]
}

fn one(value: impl Into<u64>) -> Values {
    vec![(Vec::new(), value.into())]
}

/// Counts by the values of an attribute.
fn named(attribute: &'static str, counts: &[(Bytes, u64)]) -> Values {
    counts.iter().map(|(value, count)| (vec![(attribute, text(&String::from_utf8_lossy(value)))], *count)).collect()
}

fn of_processes(group: &GroupStatus, value: fn(&ProcessStatus) -> Option<u64>) -> Values {
    let all = group.processes.iter();
    all.filter_map(|process| Some((vec![("process.pid", integer(process.pid.into()))], value(process)?))).collect()
}

fn gauge(name: &str, unit: &str, groups: &[Figures], now: &str, of: fn(&GroupStatus) -> Values) -> Value {
    let points: Vec<Value> = groups.iter().flat_map(|group| points(group, now, of(&group.group), false)).collect();
    json!({"name": name, "unit": unit, "gauge": {"dataPoints": points}})
}

fn sum(name: &str, unit: &str, groups: &[Figures], now: &str, of: fn(&GroupStatus) -> Values) -> Value {
    let points: Vec<Value> = groups.iter().flat_map(|group| points(group, now, of(&group.group), true)).collect();
    let sum = json!({"aggregationTemporality": CUMULATIVE, "isMonotonic": true, "dataPoints": points});
    json!({"name": name, "unit": unit, "sum": sum})
}

fn points(group: &Figures, now: &str, values: Values, counts: bool) -> Vec<Value> {
    let point = |(besides, value): (Vec<(&'static str, Value)>, u64)| {
        let mut point = json!({
            "timeUnixNano": now,
            "asInt": value.to_string(),
            "attributes": attributes(of_group(group).chain(besides)),
        });
        if counts {
            point["startTimeUnixNano"] = json!(started(Some(group)));
        }
        point
    };
    values.into_iter().map(point).collect()
}

fn histogram(name: &str, groups: &[Figures], now: &str, of: fn(&GroupStatus) -> &Durations) -> Value {
    let bounds: Vec<f64> = (0..).map_while(bound).map(|bound| bound.as_secs_f64()).collect();
    let point = |group: &Figures| {
        let Durations { nanoseconds: sum, buckets } = of(&group.group);
        json!({
            "timeUnixNano": now,
            "startTimeUnixNano": started(Some(group)),
            "attributes": attributes(of_group(group)),
            "count": buckets.iter().sum::<u64>().to_string(),
            "sum": Duration::from_nanos(*sum).as_secs_f64(),
            "explicitBounds": bounds,
            "bucketCounts": buckets.iter().map(u64::to_string).collect::<Vec<String>>(),
        })
    };
    let points: Vec<Value> = groups.iter().map(point).collect();
    json!({"name": name, "unit": "s", "histogram": {"aggregationTemporality": CUMULATIVE, "dataPoints": points}})
}

fn of_group(group: &Figures) -> impl Iterator<Item = (&'static str, Value)> {
    std::iter::once(("wsgi.process_group", text(&String::from_utf8_lossy(&group.group.name))))
}

/// The moment from which on the group's sums are counted.
fn started(group: Option<&Figures>) -> String {
    nanoseconds(Duration::from_secs(group.map_or(0, |group| group.started)))
}

fn scope() -> Value {
    json!({"name": "mod_wsgi", "version": env!("CARGO_PKG_VERSION")})
}

fn attributes<'a>(all: impl Iterator<Item = (&'a str, Value)>) -> Vec<Value> {
    all.map(|(key, value)| json!({"key": key, "value": value})).collect()
}

fn text(text: &str) -> Value {
    json!({"stringValue": text})
}

/// Makes a string of a 64-bit number, so that no reader loses digits.
fn integer(number: u64) -> Value {
    json!({"intValue": number.to_string()})
}

fn nanoseconds(time: Duration) -> String {
    time.as_nanos().to_string()
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
