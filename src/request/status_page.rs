//! `SetHandler wsgi-status`, and our part of mod_status' page.
#![forbid(unsafe_code)]

use wsgi_wire::messages::requests;

use crate::daemons;
use crate::httpd::request::Request;
use crate::httpd::response::{self, ResponseBody};
use crate::httpd::{HookStatus, log};
use crate::relay::client::Then;
use crate::status::question::{Format, Question, understand};
use crate::status::report::Report;
use crate::status::{health, json, mod_status, page, prometheus};

/// The content of a response.
struct Content {
    status: u16,
    kind: &'static [u8],
    text: String,
}

/// Answers a request whose handler is `wsgi-status`.
pub fn status(r: &mut Request<'_>) -> HookStatus {
    if !r.is_get() {
        response::add_header(r, b"Allow", b"GET, HEAD");
        return send(r, &line((405, "the status can be read only\n".to_owned())));
    }
    let Some(runtime) = daemons::of_child() else { return HookStatus::Status(503) };
    let report = Report::gather(runtime);
    let content = match understand(r.uri(), r.query(), r.headers_in().get(c"Accept")) {
        Question::Live => line(health::live(&report)),
        Question::Ready(group) => line(health::ready(&report, group.as_deref())),
        Question::Status(Format::Html) => match nonce() {
            Some(nonce) => {
                response::add_header(r, b"Content-Security-Policy", page::policy(&nonce).as_bytes());
                Content { status: 200, kind: page::CONTENT_TYPE, text: page::render(&report, &nonce) }
            }
            None => {
                log::request(
                    r,
                    &requests::NO_RANDOM_NUMBERS,
                    format_args!("the system has no random numbers for the status page"),
                );
                return HookStatus::Status(500);
            }
        },
        Question::Status(Format::Json) => {
            Content { status: 200, kind: json::CONTENT_TYPE, text: json::render(&report) }
        }
        Question::Status(Format::Prometheus) => {
            Content { status: 200, kind: prometheus::CONTENT_TYPE, text: prometheus::render(&report) }
        }
        Question::Unknown(_) => line((400, "format is html, json or prometheus\n".to_owned())),
    };
    send(r, &content)
}

/// Writes our part of mod_status' page, `short` for `?auto`.
pub fn mod_status_part(r: &mut Request<'_>, short: bool) {
    let Some(runtime) = daemons::of_child() else { return };
    let report = Report::gather(runtime);
    if !report.groups.is_empty() {
        let text = if short { mod_status::lines(&report) } else { mod_status::table(&report) };
        response::write(r, text.as_bytes());
    }
}

fn line((status, text): health::Verdict) -> Content {
    Content { status, kind: b"text/plain; charset=utf-8", text }
}

fn send(r: &mut Request<'_>, content: &Content) -> HookStatus {
    response::set_status_code(r, content.status);
    response::set_content_type(r, content.kind);
    for (name, value) in
        [(&b"Cache-Control"[..], &b"no-store"[..]), (b"Vary", b"Accept"), (b"X-Content-Type-Options", b"nosniff")]
    {
        response::add_header(r, name, value);
    }
    let mut body = ResponseBody::new(r);
    // A client that is gone needs no answer.
    let _ = body.pass(r, &[content.text.as_bytes()], Then::End);
    HookStatus::Ok
}

/// A number that nobody can guess, as text.
fn nonce() -> Option<String> {
    let mut bytes = [0u8; 16];
    let filled = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).ok()?;
    (filled == bytes.len()).then(|| bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
