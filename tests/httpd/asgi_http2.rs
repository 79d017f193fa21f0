//! ASGI over HTTP/2: streams in both directions, and their end.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::asgi::APP;
use harness::{Httpd, Site, cannot_run, eventually, in_time, module};
use serde_json::json;

/// A site of ASGI with mod_http2, if there are such a module and a client for it.
fn site(test: &str) -> Option<Httpd> {
    let said = Command::new("curl").arg("--version").output();
    let speaks = said.is_ok_and(|said| String::from_utf8_lossy(&said.stdout).contains("HTTP2"));
    let Some(http2) = module("http2").filter(|_| speaks) else {
        cannot_run(test, "needs mod_http2 and a curl that speaks HTTP/2");
        return None;
    };
    let site = Httpd::builder()
        .app("site.wsgi", APP)
        .conf(&format!("LoadModule http2_module {}\nProtocols h2c http/1.1", http2.display()))
        .conf("WSGIDaemonProcess site interface=asgi")
        .conf("WSGIScriptAlias / {apps}/site.wsgi process-group=site")
        .expect_log(&["stopped in order"]);
    Some(site.start())
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
