use serde_json::Value;
use wsgi_wire::interface::Interface;
use wsgi_wire::status::WebSocketsStatus;
use wsgi_wire::table::histogram::BUCKETS;

use super::*;

fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn resource() -> Vec<(String, String)> {
    vec![("service.name".into(), "shop".into())]
}

/// The value of an attribute of a span, a point or a resource.
fn attribute<'v>(of: &'v Value, name: &str) -> Option<&'v str> {
    let all = of["attributes"].as_array()?;
    let value = &all.iter().find(|attribute| attribute["key"] == name)?["value"];
    value["stringValue"].as_str().or(value["intValue"].as_str())
}

fn request() -> Span {
    let bytes = |text: &str| Bytes::from(text.as_bytes());
    Span {
        trace: (0x4bf9_2f35_77b3_4da6, 0xa3ce_929d_0e0e_4736),
        id: 0x6162,
        parent: 7,
        start: 1_000_001,
        end: 2_000_002,
        status: 200,
        close: 0,
        lost: 0,
        method: bytes("GET"),
        path: bytes("/shop/a"),
        mount: bytes("/shop"),
        scheme: bytes("http"),
        server: bytes("shop.example"),
        port: 80,
        protocol: bytes("HTTP/1.1"),
        client: bytes("10.0.0.1"),
        user_agent: bytes(""),
        process_group: bytes("g"),
        application_group: bytes(""),
    }
}

#[test]
fn a_request_is_a_span_of_a_server() {
    let told = read(&traces(&resource(), &[request()]));
    let of = &told["resourceSpans"][0];
    assert_eq!(attribute(&of["resource"], "service.name"), Some("shop"));
    let span = &of["scopeSpans"][0]["spans"][0];
    let words = ["traceId", "spanId", "parentSpanId", "name", "startTimeUnixNano", "endTimeUnixNano"];
    let expected = [
        "4bf92f3577b34da6a3ce929d0e0e4736",
        "0000000000006162",
        "0000000000000007",
        "GET /shop",
        "1000001000",
        "2000002000",
    ];
    assert_eq!(words.map(|word| span[word].as_str().unwrap()), expected);
    assert_eq!((&span["kind"], &span["status"]), (&json!(2), &Value::Null));
    for (name, value) in [
        ("http.request.method", "GET"),
        ("url.path", "/shop/a"),
        ("http.route", "/shop"),
        ("http.response.status_code", "200"),
        ("network.protocol.version", "1.1"),
        ("wsgi.process_group", "g"),
    ] {
        assert_eq!(attribute(span, name), Some(value), "{name}");
    }
    assert_eq!((attribute(span, "user_agent.original"), attribute(span, "wsgi.application_group")), (None, None));
}

#[test]
fn a_trace_that_begins_here_has_no_parent_and_a_failure_is_an_error() {
    let failed = Span { parent: 0, status: 502, mount: Bytes::from(&b""[..]), ..request() };
    let told = read(&traces(&resource(), &[failed]));
    let span = &told["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    assert_eq!(
        (&span["parentSpanId"], &span["status"]["code"], &span["name"]),
        (&Value::Null, &json!(2), &json!("GET"))
    );
}

#[test]
fn figures_are_gauges_sums_and_histograms() {
    let durations = |count: u64| {
        let mut buckets = vec![0; BUCKETS];
        buckets[1] = count;
        Durations { nanoseconds: 100_000 * count, buckets }
    };
    let process = ProcessStatus {
        pid: 0,
        state: State::Ready,
        started: 1001,
        generation: 1,
        threads: 5,
        busy: 1,
        in_flight: 1,
        requests: 4,
        websockets: 0,
        background: 0,
        messages_in: 0,
        messages_out: 0,
        lag: Durations::default(),
    };
    let group = GroupStatus {
        name: Bytes::from(&b"g"[..]),
        wanted: 2,
        threads: 5,
        waiting: 0,
        classes: vec![0, 3, 0, 0, 1],
        refused: vec![(Bytes::from(&b"queue_full"[..]), 7)],
        ended: Vec::new(),
        latency: durations(4),
        waits: durations(0),
        interface: Interface::Asgi,
        websockets: WebSocketsStatus::default(),
        lag: durations(0),
        processes: vec![process],
    };
    let group = Figures { started: 1000, group };
    let told = read(&metrics(&resource(), &[group], 3));
    let all = told["resourceMetrics"][0]["scopeMetrics"][0]["metrics"].as_array().unwrap().clone();
    let metric = |name: &str| all.iter().find(|metric| metric["name"] == name).unwrap_or_else(|| panic!("{name}"));
    let threads = &metric("mod_wsgi.threads")["gauge"]["dataPoints"][0];
    assert_eq!((&threads["asInt"], attribute(threads, "wsgi.process_group")), (&json!("5"), Some("g")));
    let requests = &metric("mod_wsgi.requests")["sum"];
    let failed = &requests["dataPoints"][4];
    assert_eq!((&failed["asInt"], attribute(failed, "class")), (&json!("1"), Some("5xx")));
    assert_eq!((&failed["startTimeUnixNano"], &requests["isMonotonic"]), (&json!("1000000000000"), &json!(true)));
    let latency = &metric("mod_wsgi.request.duration")["histogram"]["dataPoints"][0];
    assert_eq!((&latency["count"], &latency["bucketCounts"][1]), (&json!("4"), &json!("4")));
    let count = |name: &str| latency[name].as_array().unwrap().len();
    assert_eq!((count("explicitBounds") + 1, count("bucketCounts")), (BUCKETS, BUCKETS));
    assert_eq!(metric("mod_wsgi.process.memory")["gauge"]["dataPoints"], json!([]));
    assert_eq!(metric("mod_wsgi.spans.lost")["sum"]["dataPoints"][0]["asInt"], json!("3"));
}
