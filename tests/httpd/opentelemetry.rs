//! `WSGIOpenTelemetry`: what a collector gets, and what it does not do to requests.

use harness::websocket::WebSocket;
use harness::{
    Builder, Collector, Httpd, MODES, Role, Scratch, Site, attribute, cannot_run, eventually, kill, product, spans_in,
};
use serde_json::Value;
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

/// Longest wait for a report.
const DEADLINE: Duration = Duration::from_secs(20);

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Says what it has been told about the trace.
const TELLS: &str = r#"
def application(environ, start_response):
    told = [environ.get(name, "none") for name in ("HTTP_TRACEPARENT", "HTTP_TRACESTATE")]
    start_response("500 Oh" if environ["QUERY_STRING"] == "fail" else "200 OK", [("Content-Type", "text/plain")])
    return [" ".join(told).encode()]
"#;

/// The values of a metric for a group, with an attribute of each.
fn values(report: &Value, name: &str, besides: &str) -> Option<Vec<(String, u64)>> {
    let metrics = report["resourceMetrics"][0]["scopeMetrics"][0]["metrics"].as_array()?;
    let metric = metrics.iter().find(|metric| metric["name"] == name)?;
    let points = ["gauge", "sum"].iter().find_map(|kind| metric[*kind]["dataPoints"].as_array())?;
    let of_site = points.iter().filter(|point| attribute(point, "wsgi.process_group").as_deref() == Some("site"));
    let value =
        |point: &Value| Some((attribute(point, besides).unwrap_or_default(), point["asInt"].as_str()?.parse().ok()?));
    of_site.map(value).collect()
}

fn told_to(collector: &Collector, options: &str) -> Builder {
    Httpd::both_modes("threads=2", TELLS).conf(&format!("WSGIOpenTelemetry {} {options}", collector.url()))
}

#[test]
fn a_request_is_a_span_below_the_clients_and_above_the_applications() {
    let collector = Collector::start();
    let site = told_to(&collector, "service=shop resource=deployment.environment=test").start();
    for mode in MODES {
        let headers = [("traceparent", TRACEPARENT), ("tracestate", "vendor=1"), ("User-Agent", "test")];
        let told = site.request("GET", &format!("{mode}/a?secret=1"), &headers, b"").text();
        let (parent, state) = told.split_once(' ').expect("both");
        assert!(parent.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-") && parent.ends_with("-01"), "{told}");
        assert_eq!(state, "vendor=1");
        let own = parent.split('-').nth(2).expect("a span").to_owned();
        assert_ne!(own, "00f067aa0ba902b7");
        let (resource, span) = collector.wait_for("/v1/traces", |report| {
            let span = spans_in(report).into_iter().find(|(_, span)| span["spanId"] == *own)?.1;
            Some((report["resourceSpans"][0]["resource"].clone(), span))
        });
        assert_eq!(attribute(&resource, "service.name").as_deref(), Some("shop"));
        assert_eq!(attribute(&resource, "deployment.environment").as_deref(), Some("test"));
        assert_eq!(span["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(span["parentSpanId"], "00f067aa0ba902b7");
        assert_eq!(span["name"], format!("GET {mode}"));
        for (name, value) in [
            ("url.path", format!("{mode}/a")),
            ("http.response.status_code", "200".to_owned()),
            ("user_agent.original", "test".to_owned()),
            ("client.address", "127.0.0.1".to_owned()),
        ] {
            assert_eq!(attribute(&span, name), Some(value), "{name}");
        }
        let group = (mode == "/daemon").then(|| "site".to_owned());
        assert_eq!(attribute(&span, "wsgi.process_group"), group);
        let time = |name: &str| span[name].as_str().and_then(|time| time.parse::<u64>().ok()).expect("a time");
        assert!(time("startTimeUnixNano") <= time("endTimeUnixNano"), "{span}");
        assert!(!span.to_string().contains("secret"), "{span}");
    }
    site.finish();
}

#[test]
fn a_request_without_a_trace_begins_one() {
    let collector = Collector::start();
    let site = told_to(&collector, "").start();
    let told = site.request("GET", "/daemon?fail", &[("tracestate", "vendor=1")], b"").text();
    let (parent, state) = told.split_once(' ').expect("both");
    assert_eq!(state, "none", "that of another trace");
    let parts: Vec<&str> = parent.split('-').collect();
    let span = collector.wait_for("/v1/traces", |report| {
        spans_in(report).into_iter().find(|(_, span)| span["spanId"] == parts[2]).map(|(_, span)| span)
    });
    assert_eq!((&span["traceId"], &span["parentSpanId"]), (&Value::from(parts[1]), &Value::Null));
    assert_eq!(span["status"]["code"], 2);
    site.finish();
}

#[test]
fn who_is_not_chosen_is_not_told_about() {
    let collector = Collector::start();
    let site = told_to(&collector, "sample=0").start();
    let told = site.get("/daemon").text();
    assert!(told.starts_with("00-") && told.ends_with("-00 none"), "{told}");
    let unwanted = TRACEPARENT.replace("-01", "-00");
    let told = site.request("GET", "/daemon", &[("traceparent", &unwanted)], b"").text();
    assert_eq!(told, format!("{unwanted} none"));
    // The client has chosen it.
    site.request("GET", "/daemon", &[("traceparent", TRACEPARENT)], b"");
    collector.wait_for("/v1/traces", |report| (!spans_in(report).is_empty()).then_some(()));
    site.finish();
    assert_eq!(collector.spans().len(), 1);
}

#[test]
fn figures_of_the_status_page_come_at_each_interval_and_at_the_end() {
    let collector = Collector::start();
    let mut site = told_to(&collector, "interval=1").start();
    for _ in 0..3 {
        site.get("/daemon");
    }
    site.get("/daemon?fail");
    let classes = collector.wait_for("/v1/metrics", |report| {
        let classes = values(report, "mod_wsgi.requests", "class")?;
        (classes.iter().map(|(_, count)| count).sum::<u64>() == 4).then_some(classes)
    });
    assert_eq!((&classes[1], &classes[4]), (&("2xx".to_owned(), 3), &("5xx".to_owned(), 1)));
    let daemons: Vec<u32> =
        site.census().into_iter().filter(|member| member.role == Role::Daemon).map(|member| member.pid).collect();
    collector.wait_for("/v1/metrics", |report| {
        let memory = values(report, "mod_wsgi.process.memory", "process.pid")?;
        let states = values(report, "mod_wsgi.processes", "state")?;
        let is_there = memory
            .iter()
            .any(|(pid, bytes)| daemons.iter().any(|daemon| daemon.to_string() == *pid) && *bytes > 1 << 20);
        (is_there && states.contains(&("ready".to_owned(), 1))).then_some(())
    });
    site.get("/daemon");
    assert!(site.stop().is_some());
    collector.wait_for("/v1/metrics", |report| {
        let classes = values(report, "mod_wsgi.requests", "class")?;
        (classes[1].1 == 4).then_some(())
    });
}

#[test]
fn a_collector_that_is_not_there_costs_nobody_anything() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its number").port();
    drop(listener);
    let site = Httpd::both_modes("threads=2", TELLS)
        .conf(&format!("WSGIOpenTelemetry http://127.0.0.1:{port}"))
        .expect_log(&["WSGI1328"])
        .start();
    for _ in 0..50 {
        assert_eq!(site.get("/daemon").status, 200);
    }
    site.log.wait_for("WSGI1328: ");
    assert_eq!(site.log.text().matches("WSGI1328").count(), 1);
    site.finish();
}

#[test]
fn an_exporter_that_somebody_kills_has_a_successor() {
    let collector = Collector::start();
    let site = told_to(&collector, "").expect_log(&["WSGI1327"]).start();
    let exporter = || site.processes().into_iter().find(|pid| name_of(*pid).starts_with("mod_wsgi-exporter"));
    let first = eventually(DEADLINE, exporter).expect("an exporter");
    kill(first, libc::SIGKILL);
    let second = eventually(DEADLINE, || exporter().filter(|pid| *pid != first)).expect("another one");
    if harness::is_root() {
        let status = std::fs::read_to_string(format!("/proc/{second}/status")).expect("its status");
        let line = |name: &str| status.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
        assert!(!line("Uid:").contains("\t0\t") && line("CapBnd:").ends_with("0000000000000000"), "{status}");
    }
    site.get("/daemon");
    collector.wait_for("/v1/traces", |report| (!spans_in(report).is_empty()).then_some(()));
    site.finish();
}

fn name_of(pid: u32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default()
}

/// What `opentelemetry-instrumentation-wsgi` makes of a request: its span, and what that hangs below.
const WSGI: &str = r#"
from opentelemetry import trace
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware
from opentelemetry.sdk.trace import TracerProvider

trace.set_tracer_provider(TracerProvider())

def within(environ, start_response):
    span = trace.get_current_span()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{span.context.trace_id:032x} {span.parent.span_id:016x} {span.context.trace_flags.sampled}".encode()]

application = OpenTelemetryMiddleware(within)
"#;

/// The same of `opentelemetry-instrumentation-django`.
const DJANGO: &str = r#"
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import re_path
from opentelemetry import trace
from opentelemetry.instrumentation.django import DjangoInstrumentor
from opentelemetry.sdk.trace import TracerProvider

trace.set_tracer_provider(TracerProvider())

def view(request):
    span = trace.get_current_span()
    return HttpResponse(f"{span.context.trace_id:032x} {span.parent.span_id:016x} {span.context.trace_flags.sampled}")

urlpatterns = [re_path("", view)]
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="x", MIDDLEWARE=[])
DjangoInstrumentor().instrument()
application = get_wsgi_application()
"#;

#[test]
fn spans_of_applications_hang_below_ours() {
    let test = "spans_of_applications_hang_below_ours";
    let directory = Scratch::new();
    let packages = directory.path().join("packages").display().to_string();
    let python = product().python("sys.executable");
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", &packages];
    let names = ["opentelemetry-sdk", "opentelemetry-instrumentation-wsgi", "opentelemetry-instrumentation-django"];
    if !Command::new(python).args(install).args(names).status().expect("pip runs").success() {
        return cannot_run(test, "the packages of OpenTelemetry cannot be had from PyPI");
    }
    let collector = Collector::start();
    let site = Httpd::builder()
        .app("wsgi.wsgi", WSGI)
        .app("django.wsgi", DJANGO)
        .conf(&format!(
            "WSGIOpenTelemetry {}\nWSGIDaemonProcess wsgi python-path={packages}\n\
             WSGIDaemonProcess django python-path={packages}\n\
             WSGIScriptAlias /wsgi {{apps}}/wsgi.wsgi process-group=wsgi application-group=%{{GLOBAL}}\n\
             WSGIScriptAlias /django {{apps}}/django.wsgi process-group=django application-group=%{{GLOBAL}}",
            collector.url()
        ))
        .start();
    for path in ["/wsgi", "/django"] {
        for headers in [&[("traceparent", TRACEPARENT)][..], &[]] {
            let told = site.request("GET", path, headers, b"");
            assert_eq!(told.status, 200, "{path}: {told:?}");
            let told = told.text();
            let [trace, parent, sampled] = told.split(' ').collect::<Vec<_>>()[..] else { panic!("{path}: {told}") };
            assert_eq!(sampled, "True", "{path}");
            assert!(headers.is_empty() || trace == "4bf92f3577b34da6a3ce929d0e0e4736", "{path}: {told}");
            let ours = collector.wait_for("/v1/traces", |report| {
                spans_in(report).into_iter().find(|(_, span)| span["spanId"] == parent).map(|(_, span)| span)
            });
            assert_eq!(ours["traceId"], trace, "{path}");
        }
    }
    site.finish();
}

/// Accepts, and says what it has been told about the trace.
const SOCKET: &str = r#"
async def application(scope, receive, send):
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        told = dict(scope["headers"])[b"traceparent"].decode()
        await send({"type": "websocket.send", "text": told})
        await receive()
    else:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello"})
"#;

#[test]
fn the_span_of_a_websocket_ends_with_it_whoever_carries_it() {
    for suspend in ["On", "Off"] {
        let collector = Collector::start();
        let site = Httpd::builder()
            .app("site.wsgi", SOCKET)
            .conf("WSGIDaemonProcess site interface=asgi\nWSGIScriptAlias / {apps}/site.wsgi process-group=site")
            .conf(&format!("WSGIWebSocketSuspend {suspend}\nWSGIOpenTelemetry {}", collector.url()))
            .conf("CustomLog {root}/closes.log \"%s %{wsgi-websocket-close}n\"")
            .start();
        let mut socket = WebSocket::open(site.port(), "/");
        let own = socket.text().split('-').nth(2).map(str::to_owned).expect("a span");
        let of = |status: &'static str| {
            move |report: &Value| {
                let spans = spans_in(report).into_iter().map(|(_, span)| span);
                spans.into_iter().find(|span| attribute(span, "http.response.status_code").as_deref() == Some(status))
            }
        };
        assert_eq!(site.get("/").text(), "hello");
        let other = collector.wait_for("/v1/traces", of("200"));
        assert_eq!(collector.spans().len(), 1, "the WebSocket goes on");
        socket.close(1001);
        assert_eq!(socket.closed(), Some(1001));
        let span = collector.wait_for("/v1/traces", of("101"));
        assert_eq!(span["spanId"], own);
        assert_eq!(attribute(&span, "wsgi.websocket.close_code").as_deref(), Some("1001"));
        assert_eq!(attribute(&other, "wsgi.websocket.close_code"), None);
        let time = |of: &Value, name: &str| of[name].as_str().and_then(|time| time.parse::<u64>().ok());
        assert!(time(&span, "endTimeUnixNano") > time(&other, "endTimeUnixNano"), "{span} {other}");
        let log = site.root().join("closes.log");
        let logged = || std::fs::read_to_string(&log).ok().filter(|log| log.lines().any(|line| line == "101 1001"));
        assert!(eventually(DEADLINE, logged).is_some(), "{suspend}");
        site.finish();
    }
}
