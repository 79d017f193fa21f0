//! The use that each request makes of the protocol, for `make instructions` (scripts/instructions), which has it
//! repeated and counts instructions. As ordinary tests these run once.

use std::hint::black_box;

use crate::frame::{self, Kind};
use crate::header;
use crate::names::Name;
use crate::request::{Body, Facts, Purpose, Request, put_request};
use crate::response::{Head, put_head};

fn rounds() -> usize {
    std::env::var("INSTRUCTIONS_ROUNDS").map_or(1, |rounds| rounds.parse().unwrap())
}

/// The variables of a request of a browser behind some proxies: 10 of CGI, 40 headers.
fn variables() -> Vec<(String, String)> {
    let cgi = ["REQUEST_METHOD", "REQUEST_URI", "QUERY_STRING", "PATH_INFO", "SERVER_PROTOCOL"];
    let more = ["REMOTE_ADDR", "REMOTE_PORT", "REQUEST_SCHEME", "CONTEXT_PREFIX", "GATEWAY_INTERFACE"];
    let known = ["HTTP_HOST", "HTTP_USER_AGENT", "HTTP_ACCEPT", "HTTP_COOKIE", "HTTP_REFERER"];
    let names = cgi.into_iter().chain(more).chain(known).map(str::to_owned);
    let headers = (0..35).map(|n| format!("HTTP_X_HEADER_{n}"));
    names.chain(headers).map(|name| (name.clone(), format!("the value of {name}"))).collect()
}

fn request(variables: &[(String, String)], out: &mut Vec<u8>) {
    let facts = Facts { route: 3, request_start: 1, queue_start: 2, script_mtime: 5, connects: 1, rejects: 0 };
    let put = frame::put_in(7, out, Kind::Request, |out| {
        put_request(out, &facts, Purpose::Response(Body::None), |vars| {
            for (name, value) in variables {
                vars.push(Name::of(name.as_bytes()), value.as_bytes());
            }
        });
    });
    put.unwrap();
}

const HEADERS: [(&[u8], &[u8]); 5] = [
    (b"Content-Type", b"text/html; charset=utf-8"),
    (b"Content-Length", b"4711"),
    (b"Vary", b"Cookie, Accept-Language"),
    (b"Set-Cookie", b"sessionid=0123456789abcdefghijklmnopqrstuv; HttpOnly; Path=/; SameSite=Lax"),
    (b"X-Frame-Options", b"DENY"),
];

fn head(out: &mut Vec<u8>) {
    frame::put_in(7, out, Kind::Head, |out| put_head(out, 200, b"OK", HEADERS.into_iter())).unwrap();
}

#[test]
fn instructions_encode_request() {
    let (variables, mut out) = (variables(), Vec::new());
    for _ in 0..rounds() {
        out.clear();
        request(black_box(&variables), &mut out);
        assert!(!black_box(&out).is_empty());
    }
}

#[test]
fn instructions_decode_request() {
    let mut data = Vec::new();
    request(&variables(), &mut data);
    for _ in 0..rounds() {
        let frame = frame::first(black_box(&data)).unwrap().unwrap();
        let request = Request::decode(frame.payload).unwrap();
        assert_eq!(request.vars.filter(|variable| black_box(variable).is_ok()).count(), 50);
    }
}

#[test]
fn instructions_encode_head() {
    let mut out = Vec::new();
    for _ in 0..rounds() {
        out.clear();
        head(&mut out);
        assert!(!black_box(&out).is_empty());
    }
}

#[test]
fn instructions_decode_head() {
    let mut data = Vec::new();
    head(&mut data);
    for _ in 0..rounds() {
        let frame = frame::first(black_box(&data)).unwrap().unwrap();
        let head = Head::decode(frame.payload).unwrap();
        assert_eq!(head.headers.filter(|header| black_box(header).is_ok()).count(), HEADERS.len());
    }
}

#[test]
fn instructions_check_headers() {
    for _ in 0..rounds() {
        for (name, value) in black_box(HEADERS) {
            assert!(header::is_name(name) && header::is_value(value));
            black_box(header::is_length(name));
        }
    }
}
