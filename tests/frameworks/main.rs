//! Well-known frameworks, wrapped in `wsgiref.validate`, in a plain Apache: one page of each kind that applications
//! have.

#![allow(clippy::expect_used, reason = "whatever goes wrong here fails a test, with its place")]

mod asgi;

use harness::{Httpd, MODES, Site, records};
use serde_json::json;

const BODY: &str = "--limit\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nr\u{e9}sum\u{e9}\r\n\
                    --limit\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n\
                    Content-Type: application/octet-stream\r\n\r\n";

fn nothing_found(site: Httpd, name: &str) {
    let complaints = ["Assertion", "Traceback", "Warning", "garbage collected"];
    let found: Vec<_> =
        records(&site.log.text()).into_iter().filter(|r| complaints.iter().any(|c| r.contains(c))).collect();
    assert_eq!(found, Vec::<String>::new(), "{name}");
    site.finish();
}

/// Asks for the pages that all frameworks' applications here have, below this URL.
fn ask_for_pages(site: &Httpd, name: &str, below: &str) {
    let mut client = site.client();
    let mut ask = |method: &str, path: &str, headers: &[&str], body: &[u8]| {
        client.exchange(method, &format!("{below}{path}"), headers, body).expect("an answer")
    };
    let hello = ask("GET", "/hello/W%C3%B6rld", &[], b"");
    assert_eq!((hello.status, hello.text().as_str()), (200, "Hello, W\u{f6}rld!"), "{name} {below}");
    assert_eq!(hello.all("Set-Cookie").len(), 2, "{name} {below}");
    let head = ask("HEAD", "/hello/you", &[], b"");
    assert_eq!((head.status, head.text().as_str()), (200, ""), "{name} {below}");

    let large = large();
    for body in [&b""[..], b"small", &large] {
        let echo = ask("POST", "/echo", &[&format!("Content-Length: {}", body.len())], body);
        assert_eq!((echo.status, echo.body == body), (200, true), "{name} {below} {}", body.len());
    }

    let upload = [BODY.as_bytes(), &large, b"\r\n--limit--\r\n"].concat();
    let length = format!("Content-Length: {}", upload.len());
    let headers = ["Content-Type: multipart/form-data; boundary=limit", &length];
    let told = ask("POST", "/upload", &headers, &upload);
    assert_eq!(told.status, 200, "{name} {below}: {}", told.text());
    let told: serde_json::Value = serde_json::from_slice(&told.body).expect("JSON");
    assert_eq!(told["size"], json!(large.len()), "{name} {below}");
    assert_eq!(told["name"], json!("a.bin"), "{name} {below}");

    let stream = ask("GET", "/stream", &[], b"");
    let numbers: String = (0..100).map(|n| format!("{n}\n")).collect();
    assert_eq!((stream.text(), stream.complete), (numbers, true), "{name} {below}");
    assert_eq!(ask("GET", "/nothing/here", &[], b"").status, 404, "{name} {below}");
}

fn large() -> Vec<u8> {
    (0..300_000_u32).map(|n| (n % 251) as u8).collect()
}

fn pages(name: &str, source: &str) {
    let site = Httpd::both_modes("threads=3", source).start();
    for mode in MODES {
        ask_for_pages(&site, name, mode);
    }
    nothing_found(site, name);
}

#[test]
fn flask() {
    pages("Flask", include_str!("flask.wsgi"));
}

#[test]
fn django() {
    pages("Django", include_str!("django.wsgi"));
}

#[test]
fn pyramid() {
    pages("Pyramid", include_str!("pyramid.wsgi"));
}

#[test]
fn falcon() {
    pages("Falcon", include_str!("falcon.wsgi"));
}

#[test]
fn bottle() {
    pages("Bottle", include_str!("bottle.wsgi"));
}

#[test]
fn wsgidav_keeps_files() {
    let site = Httpd::both_modes("processes=1 threads=3", include_str!("wsgidav.wsgi")).conf("ServerLimit 1").start();
    let content: Vec<u8> = (0..200_000_u32).map(|n| (n % 253) as u8).collect();
    for mode in MODES {
        let mut client = site.client();
        let mut ask = |method: &str, path: &str, headers: &[&str], body: &[u8]| {
            client.exchange(method, &format!("{mode}{path}"), headers, body).expect("an answer")
        };
        let put = ask("PUT", "/file.bin", &[&format!("Content-Length: {}", content.len())], &content);
        assert_eq!(put.status, 201, "{mode}: {}", put.text());
        let got = ask("GET", "/file.bin", &[], b"");
        assert_eq!((got.status, got.body == content), (200, true), "{mode}");
        let part = ask("GET", "/file.bin", &["Range: bytes=10-19"], b"");
        assert_eq!((part.status, part.body.as_slice()), (206, &content[10..20]), "{mode}");
        let found = ask("PROPFIND", "/", &["Depth: 1"], b"");
        assert_eq!(found.status, 207, "{mode}: {}", found.text());
        assert!(found.text().contains("file.bin") && found.text().contains("200000"), "{mode}: {}", found.text());
        assert_eq!(ask("DELETE", "/file.bin", &[], b"").status, 204, "{mode}");
        assert_eq!(ask("GET", "/file.bin", &[], b"").status, 404, "{mode}");
    }
    nothing_found(site, "WsgiDAV");
}

#[test]
fn django_sendfile2_has_apache_send_files() {
    let site = Httpd::both_modes("threads=2", "")
        .app("site.wsgi", include_str!("sendfile.wsgi"))
        .conf(
            "WSGISendfileRoot {root}/films\n\
             Alias /protected {root}/films\n\
             <Location /protected>\nRequire expr \"-n env('REDIRECT_STATUS')\"\n</Location>",
        )
        .file("films/film.mp4", "0123456789")
        .file("films/\u{142}.txt", "Polish")
        .start();
    // In the Apache child, as with the peer, no Location makes Apache serve another URL.
    for (mode, backend) in [(MODES[0], "xsendfile"), (MODES[1], "xsendfile"), (MODES[0], "mod_wsgi")] {
        let path = format!("{mode}/film/{backend}/film.mp4");
        assert_eq!(site.get(&path).status, 403, "{path}");
        let film = site.get(&format!("{path}?user=friend"));
        assert_eq!((film.status, film.text().as_str()), (200, "0123456789"), "{path}");
        assert_eq!(film.header("content-length"), Some("10"), "{path}");
        assert_eq!(film.header("content-type"), Some("video/mp4"), "{path}");
        let part = site.request("GET", &format!("{path}?user=friend"), &[("Range", "bytes=2-4")], b"");
        assert_eq!((part.status, part.text().as_str()), (206, "234"), "{path}");
        let polish = site.get(&format!("{mode}/film/{backend}/%C5%82.txt?user=friend"));
        assert_eq!((polish.status, polish.text().as_str()), (200, "Polish"), "{path}");
    }
    let film = site.get("/daemon/film/xsendfile/film.mp4?user=friend");
    assert_eq!(film.header("content-disposition"), Some("attachment; filename=\"film.mp4\""));
    assert_eq!(site.get("/protected/film.mp4").status, 403, "nobody gets at them past the application");
    nothing_found(site, "django-sendfile2");
}
