//! ASGI over HTTP/2: streams in both directions, and their end.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::asgi::APP;
use harness::{Httpd, Site, cannot_run, curl_has, eventually, in_time, module};
use serde_json::json;

/// A site of ASGI with mod_http2, if there are such a module and a client for it.
fn site(test: &str) -> Option<Httpd> {
    site_of(test, APP).map(|site| site.expect_log(&["stopped in order"]).start())
}

fn site_of(test: &str, app: &str) -> Option<harness::Builder> {
    let Some(http2) = module("http2").filter(|_| curl_has("HTTP2")) else {
        cannot_run(test, "needs mod_http2 and a curl that speaks HTTP/2");
        return None;
    };
    let site = Httpd::builder()
        .app("site.wsgi", app)
        .conf(&format!("LoadModule http2_module {}\nProtocols h2c http/1.1", http2.display()))
        .conf("WSGIDaemonProcess site interface=asgi")
        .conf("WSGIScriptAlias / {apps}/site.wsgi process-group=site");
    Some(site)
}

/// A client of HTTP/2 that asks for this, with what it is given on standard input as its body.
fn curl(site: &Httpd, path: &str, words: &[&str]) -> Child {
    let mut command = Command::new("curl");
    command.args(["-s", "-N", "--http2-prior-knowledge"]).args(words).arg(site.url(path));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("curl runs")
}

#[test]
fn over_http2_the_scope_says_so_and_bodies_arrive() {
    let Some(site) = site("over_http2_the_scope_says_so_and_bodies_arrive") else { return };
    let asked = curl(&site, "/scope?a=b", &["-H", "X-Own: 1"]).wait_with_output().expect("an answer");
    let scope: serde_json::Value = serde_json::from_slice(&asked.stdout).expect("JSON");
    assert_eq!((&scope["http_version"], &scope["query_string"]), (&json!("2"), &json!("a=b")));
    let headers = scope["headers"].as_array().expect("a list");
    assert!(headers.contains(&json!(["x-own", "1"])) && headers.iter().any(|pair| pair[0] == "host"), "{scope}");
    let mut asked = curl(&site, "/read", &["--data-binary", "@-"]);
    asked.stdin.take().expect("a pipe").write_all(&vec![b'x'; 3 << 20]).expect("written");
    let said = asked.wait_with_output().expect("an answer").stdout;
    assert_eq!(String::from_utf8_lossy(&said), format!("[{}, true, true]", 3 << 20));
    site.finish();
}

#[test]
fn over_http2_a_response_streams_while_the_body_comes() {
    let Some(site) = site("over_http2_a_response_streams_while_the_body_comes") else { return };
    let mut client = curl(&site, "/echo", &["-T", "."]);
    let (mut body, mut answer) = (client.stdin.take().expect("a pipe"), client.stdout.take().expect("a pipe"));
    for number in 0..5 {
        body.write_all(format!("piece{number}").as_bytes()).expect("written");
        let mut piece = [0; 6];
        answer.read_exact(&mut piece).expect("the piece comes back before the next one is sent");
        assert_eq!(piece, format!("piece{number}").as_bytes());
    }
    drop(body);
    let mut rest = Vec::new();
    answer.read_to_end(&mut rest).expect("the end");
    assert!(client.wait().expect("curl ends").success() && rest.is_empty(), "{rest:?}");
    site.finish();
}

#[test]
fn over_http2_an_application_hears_that_its_client_is_gone() {
    let Some(site) = site("over_http2_an_application_hears_that_its_client_is_gone") else { return };
    let mut client = curl(&site, "/wait-for-end", &[]);
    let seen = |name: &str| {
        let seen = || (site.get("/seen").json()[name] == true).then_some(());
        assert!(eventually(in_time(Duration::from_secs(20)), seen).is_some(), "{name}");
    };
    seen("waits");
    client.kill().expect("killed");
    client.wait().expect("its end");
    seen("end");
    site.finish();
}

/// Has header lines behind its content; at `/wrong` it tries one that may not be there first.
const TRAILERS: &str = r#"
async def application(scope, receive, send):
    if scope["type"] != "http":
        return
    offered = "http.response.trailers" in scope["extensions"]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-own", b"head")], "trailers": True})
    await send({"type": "http.response.body", "body": b"content ", "more_body": True})
    await send({"type": "http.response.body", "body": repr(offered).encode()})
    if scope["path"] == "/wrong":
        for message in [{"type": "http.response.trailers", "headers": [(b"Content-Length", b"1")]}, {"type": "http.response.body"}]:
            try:
                await send(message)
            except (ValueError, RuntimeError) as error:
                print(error)
    if scope["path"] != "/none":
        await send({"type": "http.response.trailers", "headers": [(b"x-first", b"1")], "more_trailers": True})
        await send({"type": "http.response.trailers", "headers": [(b"x-last", b"2")]})
"#;

#[test]
fn header_lines_follow_the_content_over_http2_and_are_left_out_elsewhere() {
    let test = "header_lines_follow_the_content_over_http2_and_are_left_out_elsewhere";
    let Some(site) = site_of(test, TRAILERS).map(harness::Builder::start) else { return };
    site.log.expect(&[
        "the header 'Content-Length' may not follow",
        "Unexpected ASGI message 'http.response.body' after the content",
        "has returned without a whole response to '/none'",
    ]);
    for path in ["/", "/wrong"] {
        let said = curl(&site, path, &["-D", "-"]).wait_with_output().expect("an answer");
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let (head, rest) = said.split_once("\r\n\r\n").expect("a head");
        assert!(head.contains("x-own: head") && !head.contains("x-first"), "{said}");
        assert!(rest.contains("content True") && rest.contains("x-first: 1") && rest.contains("x-last: 2"), "{said}");
    }
    let plain = site.client().exchange("GET", "/", &[], b"").expect("an answer");
    assert_eq!((plain.text(), plain.complete, plain.all("x-first").len()), ("content False".to_owned(), true, 0));
    // Those that were announced and do not come are a response that is not whole.
    assert!(!site.client().exchange("GET", "/none", &[], b"").is_ok_and(|answer| answer.complete));
    site.finish();
}
