//! `--telemetry-service`, `--enable-telemetry`, `--slow-requests` and `--opentelemetry`.

use harness::{Collector, Express, Foreground, PROBE, Scratch, Site, attribute, cannot_run, eventually, free_port};
use std::collections::BTreeMap;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(30);
/// Kinds of datagrams.
const REQUESTS: u8 = 2;
const SLOW: u8 = 4;
const STARTED: u8 = 5;
const STOPPING: u8 = 6;
const STOPPED: u8 = 7;
const COLLECTOR: u8 = 8;
const COLLECTION: u8 = 9;

/// The value of a field.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Count(u64),
    Number(f64),
    Text(String),
    List(Vec<f64>),
}

/// One datagram.
#[derive(Debug)]
struct Report {
    kind: u8,
    pid: u32,
    sequence: u32,
    fields: BTreeMap<u16, Value>,
}

/// The numbers of a datagram, one after the other.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (taken, rest) = self.0.split_first_chunk().expect("a whole datagram");
        self.0 = rest;
        *taken
    }

    fn list<const N: usize>(&mut self, number: fn([u8; N]) -> f64) -> Value {
        let length = u16::from_le_bytes(self.take());
        Value::List((0..length).map(|_| number(self.take())).collect())
    }
}

impl Report {
    fn decode(bytes: &[u8]) -> Self {
        let mut reader = Reader(bytes);
        assert_eq!(reader.take::<5>(), *b"WSGI\x01", "the format and its version");
        let [kind] = reader.take();
        assert_eq!(reader.take::<2>(), [0, 0], "no flags");
        let (pid, sequence) = (u32::from_le_bytes(reader.take()), u32::from_le_bytes(reader.take()));
        assert!(f64::from_le_bytes(reader.take()) > 1.7e9, "a time");
        let mut fields = BTreeMap::new();
        while !reader.0.is_empty() {
            let id = u16::from_le_bytes(reader.take());
            let value = match reader.take() {
                [1] => Value::Count(u64::from_le_bytes(reader.take())),
                [2] => Value::Number(f64::from_le_bytes(reader.take())),
                [4] => {
                    let length = u16::from_le_bytes(reader.take());
                    let (text, rest) = reader.0.split_at(length.into());
                    reader.0 = rest;
                    Value::Text(String::from_utf8(text.to_vec()).expect("text"))
                }
                [5] => reader.list::<4>(|bytes| i32::from_le_bytes(bytes).into()),
                [6] => reader.list::<8>(f64::from_le_bytes),
                [other] => panic!("no type {other}"),
            };
            assert!(fields.insert(id, value).is_none(), "field {id} comes once");
        }
        Self { kind, pid, sequence, fields }
    }

    fn count(&self, id: u16) -> u64 {
        match self.fields.get(&id) {
            Some(Value::Count(count)) => *count,
            other => panic!("field {id} is {other:?}"),
        }
    }

    fn number(&self, id: u16) -> f64 {
        match self.fields.get(&id) {
            Some(Value::Number(number)) => *number,
            other => panic!("field {id} is {other:?}"),
        }
    }

    fn text(&self, id: u16) -> &str {
        match self.fields.get(&id) {
            Some(Value::Text(text)) => text,
            other => panic!("field {id} is {other:?}"),
        }
    }

    fn sum(&self, id: u16) -> f64 {
        match self.fields.get(&id) {
            Some(Value::List(list)) => list.iter().sum(),
            other => panic!("field {id} is {other:?}"),
        }
    }
}

/// A probe with a function that takes until a file is there.
fn waiting() -> String {
    format!(
        "import gc, mod_wsgi, time\n{PROBE}\ndef wait():\n    while not os.path.exists('go'):\n        time.sleep(0.05)\n"
    )
}

/// Whoever listens for reports.
struct Listener {
    socket: UnixDatagram,
    directory: Scratch,
    heard: Vec<Report>,
}

impl Listener {
    fn new() -> Self {
        let directory = Scratch::new();
        let socket = UnixDatagram::bind(directory.path().join("t.sock")).expect("a socket");
        directory.set_mode("t.sock", 0o777);
        socket.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        directory.write("app.wsgi", waiting());
        Self { socket, directory, heard: Vec::new() }
    }

    fn start(&self, words: &[&str]) -> Foreground {
        let target = format!("unix:{}", self.directory.path().join("t.sock").display());
        let own = ["start-server", "app.wsgi", "--telemetry-service", &target, "--telemetry-interval", "0.5"];
        let words: Vec<_> = own.into_iter().chain(words.iter().copied()).collect();
        Express::new(&words).within(self.directory.path()).start()
    }

    /// The first report from now on that is as wanted; what came before it is kept.
    fn hear(&mut self, wanted: impl Fn(&Report) -> bool) -> &Report {
        let mut buffer = [0; 65536];
        loop {
            let length = self.socket.recv(&mut buffer).expect("a report in time");
            self.heard.push(Report::decode(&buffer[..length]));
            if self.heard.last().is_some_and(&wanted) {
                return self.heard.last().expect("just heard");
            }
        }
    }
}

#[test]
fn a_service_is_told_of_the_life_of_a_process_and_of_what_its_requests_cost() {
    let mut listener = Listener::new();
    let mut server = listener.start(&["--threads", "3"]);
    let started = listener.hear(|report| report.kind == STARTED);
    let (pid, parent) = (started.pid, u64::from(server.pid()));
    assert_eq!((started.sequence, started.count(7)), (1, parent));
    assert!(started.text(3).starts_with("Apache/2.4.") && started.text(6).contains("127.0.0.1"), "{started:?}");
    assert_eq!(server.ask("[os.getpid(), gc.collect() >= 0]"), serde_json::json!([pid, true]));
    let tick = listener.hear(|report| report.kind == REQUESTS && report.count(20) > 0);
    assert_eq!((tick.pid, tick.count(20), tick.count(121), tick.count(50), tick.number(11)), (pid, 1, 1, 3, 0.5));
    assert!(tick.number(63) > 0.0 && tick.number(73) <= tick.number(83) && tick.number(71) >= 0.0, "{tick:?}");
    assert_eq!((tick.sum(93), tick.sum(91), tick.sum(110)), (1.0, 1.0, 1.0));
    assert!(tick.count(40) > 1_000_000 && tick.count(102) > 0, "{tick:?}");
    let collector = listener.hear(|report| report.kind == COLLECTOR);
    assert!(collector.count(303) > 0 && !collector.fields.contains_key(&8), "{collector:?}");
    // gc.collect(). What nobody takes of the socket is lost: it holds ten datagrams.
    listener.hear(|report| report.kind == COLLECTION && report.count(322) == 2);
    server.stop(libc::SIGTERM);
    let stopping = listener.hear(|report| report.kind == STOPPING);
    assert_eq!(stopping.text(130), "shutdown_signal");
    let stopped = listener.hear(|report| report.kind == STOPPED);
    assert_eq!((stopped.text(130), stopped.count(132), stopped.count(135)), ("shutdown_signal", 1, 1));
    assert!(stopped.number(131) > 0.0);
    let numbers: Vec<_> = listener.heard.iter().map(|report| report.sequence).collect();
    assert_eq!(numbers, (1..).take(numbers.len()).collect::<Vec<_>>(), "nothing was lost, and STOPPED was the last");
}

#[test]
fn embedded_processes_report_too_and_applications_get_no_metrics_of_their_own() {
    let mut listener = Listener::new();
    let server = listener.start(&["--embedded-mode"]);
    assert_eq!(server.ask("[mod_wsgi.request_metrics(), mod_wsgi.process_metrics()]"), serde_json::json!([null, null]));
    let tick = listener.hear(|report| report.kind == REQUESTS && report.count(20) > 0);
    assert!(!tick.fields.contains_key(&6) && !tick.fields.contains_key(&61), "no group, and no queue: {tick:?}");
}

#[test]
fn a_slow_request_is_one_record_with_its_stack_and_reported_while_it_runs_and_when_it_is_over() {
    let mut listener = Listener::new();
    let options = ["--slow-requests", "0.3", "--telemetry-options", "+CaptureUserAgent"];
    let server = listener.start(&options);
    server.console.expect(&[
        "WSGI1212: A slow request (WSGISlowRequests 0.3): GET /shop in the main interpreter has been executing for",
    ]);
    let started = std::time::Instant::now();
    // As long as it takes until both have been seen.
    let asked = server.in_background("/shop?wait()");
    let active = listener.hear(|report| report.kind == SLOW);
    assert_eq!((active.count(200), active.text(210), active.text(214)), (0, "GET", ""));
    assert_eq!((active.text(213), active.count(240)), ("/shop", 0));
    assert!(active.number(202) >= 0.3 && active.fields.contains_key(&217), "{active:?}");
    assert!(!format!("{active:?}").contains("wait"), "never the query string");
    server.console.wait_for("WSGI1212: ");
    listener.directory.write("go", "");
    assert_eq!(asked.join().expect("an answer").0.status, 200);
    let over = listener.hear(|report| report.kind == SLOW && report.count(200) == 1);
    assert_eq!((over.count(240), over.count(260), over.count(261)), (200, 1, 1));
    assert!(over.number(223) >= 0.3 && over.number(202) <= started.elapsed().as_secs_f64() + 1.0, "{over:?}");
    let console = server.console.text();
    assert_eq!(console.matches("WSGI1212: ").count(), 1, "{console}");
    assert!(console.contains("in wait"), "its stack: {console}");
}

#[test]
fn slow_requests_are_logged_without_a_service_in_both_modes() {
    for mode in [&[][..], &["--embedded-mode"]] {
        let directory = Scratch::new();
        directory.write("slow.conf", "WSGISlowRequests 0.2\n");
        directory.write("app.wsgi", waiting());
        let words: Vec<_> = ["start-server", "app.wsgi", "--include-file", "slow.conf"]
            .into_iter()
            .chain(mode.iter().copied())
            .collect();
        let server = Express::new(&words).within(directory.path()).start();
        server.console.expect(&["WSGI1212: "]);
        let asked = server.in_background("/?wait()");
        let console =
            server.console.wait_for("WSGI1212: A slow request (WSGISlowRequests 0.2): GET / in the main interpreter");
        assert!(console.contains("in wait"), "{console}");
        directory.write("go", "");
        assert_eq!(asked.join().expect("an answer").0.status, 200);
    }
}

#[test]
fn mod_wsgi_telemetry_shows_our_processes() {
    let directory = Scratch::new();
    directory.write("app.wsgi", PROBE);
    let packages = directory.path().join("packages").display().to_string();
    let python = harness::product().python("sys.executable");
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", &packages];
    let installed = Command::new(python).args(install).arg("mod_wsgi-telemetry").status().expect("pip runs");
    if !installed.success() {
        return cannot_run("mod_wsgi_telemetry_shows_our_processes", "mod_wsgi-telemetry cannot be had from PyPI");
    }
    let port = free_port().to_string();
    let words =
        ["start-server", "app.wsgi", "--enable-telemetry", "--python-path", &packages, "--telemetry-ui-port", &port];
    let server = Express::new(&words).within(directory.path()).start();
    // What it writes about itself.
    server.console.expect(&["INFO", "aiohttp"]);
    let pid = server.ask("os.getpid()").to_string();
    let url = format!("http://127.0.0.1:{port}/api/state");
    let seen = eventually(DEADLINE, || {
        let state = ureq::get(&url).call().ok()?.body_mut().read_to_string().ok()?;
        state.contains(&pid).then_some(state)
    });
    assert!(seen.is_some(), "{}", server.console.text());
}

#[test]
fn mistakes_are_named() {
    let directory = Scratch::new();
    directory.write("app.wsgi", PROBE);
    for (words, named) in [
        (&["--telemetry-service", "127.0.0.1:99"][..], "--telemetry-service"),
        (&["--telemetry-service", "unix:/t", "--enable-telemetry"], "--enable-telemetry cannot be combined"),
        (&["--telemetry-interval", "0.1"], "--telemetry-interval"),
        (&["--slow-requests", "1"], "--slow-requests needs --telemetry-service"),
        (&["--enable-telemetry"], "--enable-telemetry needs the package mod_wsgi-telemetry"),
    ] {
        let words: Vec<_> = ["start-server", "app.wsgi"].into_iter().chain(words.iter().copied()).collect();
        let done = Express::new(&words).within(directory.path()).with_place().run();
        assert!(done.code == Some(2) && done.text.contains(named), "{done:?}");
    }
}

#[test]
fn a_collector_of_opentelemetry_gets_metrics_and_spans_with_the_attributes_of_the_options() {
    let collector = Collector::start();
    let directory = Scratch::new();
    directory.write("app.wsgi", PROBE);
    let url = collector.url();
    let told = ["--opentelemetry-service", "shop floor", "--opentelemetry-interval", "1"];
    let attributes =
        ["--opentelemetry-attribute", "deployment.environment=try out", "--opentelemetry-attribute", "a=b=c"];
    let words = ["start-server", "app.wsgi", "--opentelemetry", &url];
    let words: Vec<_> = words.into_iter().chain(told).chain(attributes).collect();
    let server = Express::new(&words).within(directory.path()).start();
    assert_eq!(server.ask("1 + 1"), 2);
    let resource = collector.wait_for("/v1/metrics", |report| Some(report["resourceMetrics"][0]["resource"].clone()));
    let wanted = [("service.name", "shop floor"), ("deployment.environment", "try out"), ("a", "b=c")];
    for (key, value) in wanted {
        assert_eq!(attribute(&resource, key).as_deref(), Some(value), "{resource}");
    }
    let path = collector.wait_for("/v1/traces", |report| {
        let span = &report["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
        attribute(span, "url.path")
    });
    assert_eq!(path, "/");
}

#[test]
fn of_requests_whose_share_is_none_no_collector_hears() {
    let collector = Collector::start();
    let directory = Scratch::new();
    directory.write("app.wsgi", PROBE);
    let url = collector.url();
    let words = [
        "start-server",
        "app.wsgi",
        "--opentelemetry",
        &url,
        "--opentelemetry-sample",
        "0",
        "--opentelemetry-interval",
        "1",
    ];
    let server = Express::new(&words).within(directory.path()).start();
    assert_eq!(server.ask("1 + 1"), 2);
    let counted = |report: &serde_json::Value| report.to_string().contains("mod_wsgi.requests").then_some(());
    collector.wait_for("/v1/metrics", counted);
    assert!(collector.spans().is_empty());
}
