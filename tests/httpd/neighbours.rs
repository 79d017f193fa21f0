//! Beside other modules of Apache.

use harness::{Httpd, MODES, Site, cannot_run, module};

#[test]
fn a_range_of_a_file_that_mod_xsendfile_sends_is_answered() {
    let Some(xsendfile) = module("xsendfile") else {
        let why = "needs mod_xsendfile (Debian: libapache2-mod-xsendfile)";
        return cannot_run("a_range_of_a_file_that_mod_xsendfile_sends_is_answered", why);
    };
    let sends = r#"
import os
def application(environ, start_response):
    film = os.path.join(os.path.dirname(__file__), "..", "films", "film")
    start_response("200 OK", [("Content-Type", "video/mp4"), ("X-Sendfile", os.path.abspath(film))])
    return [b"in place of it"]
"#;
    let site = Httpd::both_modes("threads=2", sends)
        .conf(&format!(
            "LoadModule xsendfile_module {}\nXSendFile On\nXSendFilePath {{root}}/films",
            xsendfile.display()
        ))
        .file("films/film", "0123456789")
        .start();
    for mode in MODES {
        let whole = site.get(mode);
        assert_eq!((whole.status, whole.text().as_str()), (200, "0123456789"), "{mode}");
        for (range, part) in [("bytes=2-4", "234"), ("bytes=8-", "89"), ("bytes=-1", "9")] {
            let answer = site.request("GET", mode, &[("Range", range)], b"");
            assert_eq!((answer.status, answer.text().as_str()), (206, part), "{mode} {range}");
            assert_eq!(answer.header("content-type"), Some("video/mp4"), "{mode}");
            assert_eq!(answer.header("content-length"), Some(&*part.len().to_string()), "{mode}");
        }
        assert_eq!(site.request("GET", mode, &[("Range", "bytes=20-")], b"").status, 416, "{mode}");
    }
    site.finish();
}

#[test]
fn a_proxy_in_front_that_asks_whether_a_thread_is_free_gets_an_answer() {
    let (Some(proxy), Some(http)) = (module("proxy"), module("proxy_http")) else {
        return cannot_run(
            "a_proxy_in_front_that_asks_whether_a_thread_is_free_gets_an_answer",
            "needs mod_proxy_http",
        );
    };
    let counts = r#"
import time
def application(environ, start_response):
    if environ["QUERY_STRING"] == "late":
        time.sleep(1.5)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(len(environ["wsgi.input"].read())).encode()]
"#;
    // Apache is its own proxy.
    let site = Httpd::both_modes("threads=2", counts)
        .conf(&format!("LoadModule proxy_module {}\nLoadModule proxy_http_module {}", proxy.display(), http.display()))
        .conf("ProxyPass /front/daemon http://127.0.0.1:{port}/daemon ping=1")
        .start();
    for length in [4, 100_000] {
        // What the application does before it reads does not count: the proxy is answered when a thread has the request.
        for query in ["", "?late"] {
            let answer = site.request("POST", &format!("/front/daemon{query}"), &[], &vec![b'x'; length]);
            assert_eq!((answer.status, answer.text()), (200, length.to_string()), "{query}");
        }
    }
    site.finish();
}
