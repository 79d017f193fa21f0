//! What Apache makes of an application's headers.

use harness::{Httpd, MODES, Site};

const HEADERS: &str = r#"
from urllib.parse import parse_qsl

def application(environ, start_response):
    start_response("200 OK", parse_qsl(environ["QUERY_STRING"]))
    return [b"a FOO b"]
"#;

#[test]
fn filters_by_type_know_a_type_whatever_its_capitals() {
    let site = Httpd::both_modes("threads=2", HEADERS)
        .conf("<Location /daemon/filtered>\nAddOutputFilterByType SUBSTITUTE text/html\nSubstitute s/FOO/BAR/n\n</Location>")
        .conf("<Location /embedded/filtered>\nAddOutputFilterByType SUBSTITUTE text/html\nSubstitute s/FOO/BAR/n\n</Location>")
        .start();
    for mode in MODES {
        let filtered = site.get(&format!("{mode}/filtered?Content-Type=Text/HTML;Charset%3DUTF-8"));
        assert_eq!(filtered.text(), "a BAR b", "{mode}");
        assert_eq!(filtered.header("content-type"), Some("text/html;Charset=UTF-8"), "{mode}");
        let plain = site.get(&format!("{mode}?Content-Type=Text/HTML;Charset%3DUTF-8"));
        assert_eq!(
            plain.header("content-type"),
            Some("Text/HTML;Charset=UTF-8"),
            "{mode}: nobody needs another spelling"
        );
    }
    site.finish();
}

#[test]
fn nothing_is_modified_later_than_it_is_sent() {
    let site = Httpd::both_modes("threads=2", HEADERS).start();
    for mode in MODES {
        let future = site.get(&format!("{mode}?Last-Modified=Fri,+01+Jan+2100+00:00:00+GMT"));
        assert!(future.header("date").is_some(), "{mode}");
        assert_eq!(future.header("last-modified"), future.header("date"), "{mode}");
        for kept in ["Mon, 02 Jan 2006 15:04:05 GMT", "yesterday"] {
            let answer = site.get(&format!("{mode}?Last-Modified={}", kept.replace(' ', "+")));
            assert_eq!(answer.header("last-modified"), Some(kept), "{mode}");
        }
    }
    site.finish();
}

#[test]
fn a_delegated_file_has_the_applications_type_where_its_name_tells_none() {
    let site = Httpd::both_modes("", HEADERS)
        .file("store/4f2a", "%PDF")
        .file("store/style.css", "b {}")
        .conf("Alias /store {root}/store")
        .start();
    let get = |location: &str, content_type: &str| {
        let answer = site.get(&format!("/daemon?Location={location}&Content-Type={content_type}"));
        (answer.status, answer.text(), answer.header("content-type").unwrap_or_default().to_owned())
    };
    assert_eq!(get("/store/4f2a", "application/pdf"), (200, "%PDF".to_owned(), "application/pdf".to_owned()));
    assert_eq!(get("/store/style.css", "application/pdf"), (200, "b {}".to_owned(), "text/css".to_owned()));
    // A type that is the name of a handler chooses none.
    for handler in ["server-status", "wsgi-script", "send-as-is", "application/x-httpd-cgi"] {
        assert_eq!(get("/store/4f2a", handler).1, "%PDF", "{handler}");
    }
    site.finish();
}

#[test]
fn an_answer_without_content_announces_no_length() {
    let site = Httpd::both_modes(
        "threads=2",
        r#"
def application(environ, start_response):
    start_response(environ["QUERY_STRING"] + " Other", [("Content-Length", "5")])
    return [b"12345"]
"#,
    )
    .start();
    for mode in MODES {
        let mut client = site.client();
        for (status, lengths) in [("204", &[][..]), ("200", &["5"][..])] {
            let answer = client.exchange("GET", &format!("{mode}?{status}"), &[], b"").expect("an answer");
            let found = (answer.status.to_string(), answer.all("Content-Length"));
            assert_eq!(found, (status.to_owned(), lengths.to_vec()), "{mode}");
        }
    }
    site.finish();
}
