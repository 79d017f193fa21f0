//! Files that an application has Apache send: `WSGISendfileRoot`.

use harness::{Httpd, MODES, Site};
use std::os::unix::fs::symlink;

/// Answers with the headers that the query names.
const SENDS: &str = r#"
from urllib.parse import parse_qsl

def application(environ, start_response):
    headers = dict(parse_qsl(environ["QUERY_STRING"]))
    status = headers.pop("status", "200 OK")
    headers = {name: value.replace("ROOT", "{root}").encode().decode("latin-1") for name, value in headers.items()}
    start_response(status, [("Content-Type", "video/mp4"), *headers.items()])
    return [b"its own content"]
"#;

fn sends(conf: &str) -> Httpd {
    let site = Httpd::both_modes("threads=2", SENDS)
        .conf(conf)
        .file("films/film", "0123456789")
        .file("films/a b%41", "spaced")
        .file("films/\u{142}", "Polish")
        .file("secret", "secret")
        .start();
    symlink("../secret", site.root().join("films/link")).expect("a link");
    symlink("film", site.root().join("films/inside")).expect("a link");
    site
}

#[test]
fn apache_sends_what_the_application_names() {
    let site = sends("WSGISendfileRoot {root}/films url=/protected/");
    for mode in MODES {
        for named in [
            "X-Sendfile=ROOT/films/film",
            "X-Sendfile=film",
            "x-sendfile=ROOT/films/inside",
            "X-Accel-Redirect=/protected/film",
            "X-Sendfile=ROOT/films/film&Content-Length=10",
            "X-Sendfile=ROOT/films/film&Content-Length=4711&Content-Range=bytes+0-1/2",
        ] {
            let path = format!("{mode}?{named}");
            let whole = site.get(&path);
            assert_eq!((whole.status, whole.text().as_str()), (200, "0123456789"), "{path}");
            assert_eq!(whole.header("content-type"), Some("video/mp4"), "{path}");
            assert_eq!(whole.header("content-length"), Some("10"), "{path}");
            assert_eq!(whole.header("accept-ranges"), Some("bytes"), "{path}");
            for hidden in ["X-Sendfile", "X-Accel-Redirect", "Content-Range"] {
                assert_eq!(whole.header(hidden), None, "{path}");
            }

            let part = site.request("GET", &path, &[("Range", "bytes=2-4")], b"");
            assert_eq!((part.status, part.text().as_str()), (206, "234"), "{path}");
            let head = site.request("HEAD", &path, &[], b"");
            assert_eq!(
                (head.status, head.header("content-length"), head.text().as_str()),
                (200, Some("10"), ""),
                "{path}"
            );
            let [etag, modified] =
                ["etag", "last-modified"].map(|name| whole.header(name).expect("a header").to_owned());
            for (condition, value, status) in [
                ("If-None-Match", etag.as_str(), 304),
                ("If-Modified-Since", &modified, 304),
                ("If-Match", "\"another\"", 412),
                ("If-Match", &etag, 200),
            ] {
                let answer = site.request("GET", &path, &[(condition, value)], b"");
                assert_eq!(answer.status, status, "{path} {condition}: {value}");
            }
        }
        let own = site.get(&format!("{mode}?X-Sendfile=film&ETag=%22mine%22"));
        assert_eq!(own.header("etag"), Some("\"mine\""), "{mode}");
        let upload = site.request("POST", &format!("{mode}?X-Sendfile=film"), &[], &[b'x'; 100_000]);
        assert_eq!((upload.status, upload.text().as_str()), (200, "0123456789"), "{mode}");
    }
    site.finish();
}

#[test]
fn names_beyond_ascii_are_found_as_frameworks_write_them() {
    let site = sends("WSGISendfileRoot {root}/films url=/protected/");
    for mode in MODES {
        for (named, content) in [
            ("X-Sendfile=a+b%2541", "spaced"),
            ("X-Sendfile=a%2520b%252541", "spaced"),
            ("X-Accel-Redirect=/protected/a%2520b%252541%3Fquery", "spaced"),
            ("X-Sendfile=%C5%82", "Polish"),
            ("X-Sendfile=%25C5%2582", "Polish"),
            ("X-Sendfile=%3D%3Futf-8%3Fb%3FxYI%3D%3F%3D", "Polish"),
        ] {
            let answer = site.get(&format!("{mode}?{named}"));
            assert_eq!((answer.status, answer.text().as_str()), (200, content), "{mode} {named}");
        }
    }
    site.finish();
}

#[test]
fn nothing_outside_the_roots_is_sent() {
    let site = sends("WSGISendfileRoot {root}/films url=/protected/");
    site.log.expect(&["WSGI1034: The application has"]);
    for mode in MODES {
        for (named, status) in [
            ("X-Sendfile=/etc/passwd", 500),
            ("X-Sendfile=ROOT/secret", 500),
            ("X-Sendfile=ROOT/films/../secret", 500),
            ("X-Sendfile=../secret", 500),
            ("X-Sendfile=%252e%252e/secret", 500),
            ("X-Sendfile=ROOT/films/link", 500),
            ("X-Sendfile=ROOT/films", 500),
            ("X-Sendfile=.", 404),
            ("X-Sendfile=ROOT/films/nothing", 404),
            ("X-Accel-Redirect=/protected/../secret", 500),
            ("X-Accel-Redirect=/elsewhere/film", 500),
            ("X-Accel-Redirect=/protected/%252e%252e/secret", 500),
        ] {
            let answer = site.get(&format!("{mode}?{named}"));
            assert_eq!(answer.status, status, "{mode} {named}");
            assert!(!answer.text().contains("secret\n") && answer.header("x-sendfile").is_none(), "{mode} {named}");
        }
        let forbidden = site.get(&format!("{mode}?status=403+Forbidden&X-Sendfile=film"));
        assert_eq!((forbidden.status, forbidden.text().as_str()), (403, "its own content"), "{mode}");
        assert_eq!(forbidden.header("x-sendfile"), None, "{mode}");
    }
    site.finish();
}

#[test]
fn without_a_root_the_headers_mean_nothing() {
    let site = sends("<Location /daemon/on>\nWSGISendfileRoot {root}/films\n</Location>");
    for mode in MODES {
        let answer = site.get(&format!("{mode}?X-Sendfile=film"));
        assert_eq!((answer.text().as_str(), answer.header("x-sendfile")), ("its own content", Some("film")), "{mode}");
    }
    assert_eq!(site.get("/daemon/on?X-Sendfile=film").text(), "0123456789");
    site.finish();
}
