//! A collector of OpenTelemetry, as far as tests look at what it gets.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use crate::wait::eventually;

/// Longest wait for a report.
const DEADLINE: Duration = Duration::from_secs(20);

/// A collector that takes OTLP over HTTP, as JSON.
pub struct Collector {
    port: u16,
    reports: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Collector {
    /// Listens on a port of its own until the test ends.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its number").port();
        let reports = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&reports);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if let Some(report) = receive(stream) {
                    kept.lock().unwrap_or_else(PoisonError::into_inner).push(report);
                }
            }
        });
        Self { port, reports }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The first thing in its reports of this kind (`/v1/traces`) that is looked for.
    pub fn wait_for<R>(&self, kind: &str, look: impl Fn(&Value) -> Option<R>) -> R {
        let found = eventually(DEADLINE, || {
            let reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
            reports.iter().rev().filter(|(path, _)| path == kind).find_map(|(_, report)| look(report))
        });
        found.unwrap_or_else(|| panic!("{kind}: {:#?}", self.reports.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// All spans of all services, with the name of the service.
    pub fn spans(&self) -> Vec<(String, Value)> {
        let reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        let traces = reports.iter().filter(|(path, _)| path == "/v1/traces");
        traces.flat_map(|(_, report)| spans_in(report)).collect()
    }
}

fn receive(stream: TcpStream) -> Option<(String, Value)> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut length = 0;
    loop {
        line.clear();
        stream.read_line(&mut line).ok()?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse().ok()?,
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}").ok()?;
    Some((path, serde_json::from_slice(&body).ok()?))
}

/// The spans of a report, each with the name of its service.
pub fn spans_in(report: &Value) -> Vec<(String, Value)> {
    let list = |of: &Value, name: &str| of[name].as_array().cloned().unwrap_or_default();
    let mut spans = Vec::new();
    for resource in list(report, "resourceSpans") {
        let service = attribute(&resource["resource"], "service.name").unwrap_or_default();
        for scope in list(&resource, "scopeSpans") {
            spans.extend(list(&scope, "spans").into_iter().map(|span| (service.clone(), span)));
        }
    }
    spans
}

/// The value of an attribute of a resource, a span or a point.
pub fn attribute(of: &Value, name: &str) -> Option<String> {
    let all = of["attributes"].as_array()?;
    let value = &all.iter().find(|attribute| attribute["key"] == name)?["value"];
    Some(value["stringValue"].as_str().or(value["intValue"].as_str())?.to_owned())
}
