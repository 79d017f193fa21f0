//! `wsgiref.validate`, the standard library's judge of servers, finds nothing to complain about.

use harness::{Answer, Client, Httpd, MODES, Site, records};

/// Reads the body in one way and answers in another; what comes back says what was read.
const JUDGED: &str = r#"
import hashlib, warnings
from wsgiref.validate import WSGIWarning, validator

warnings.simplefilter("error", WSGIWarning)

def blocks(input):
    return list(iter(lambda: input.read(50000), b""))

def lines(input):
    return list(iter(lambda: input.readline(), b""))

READERS = {"blocks": blocks, "lines": lines, "readlines": lambda input: input.readlines(), "iteration": list, "nothing": lambda input: []}

def application(environ, start_response):
    reader, _, kind = environ["QUERY_STRING"].partition("-")
    body = b"".join(READERS[reader](environ["wsgi.input"]))
    told = f"{environ['REQUEST_METHOD']} {len(body)} {hashlib.md5(body).hexdigest()}".encode()
    environ["wsgi.errors"].write("read\n")
    environ["wsgi.errors"].flush()
    headers = [("Content-Type", "text/plain"), ("X-Told", told.decode())]
    if kind == "empty":
        start_response("204 No Content", headers[1:])
        return []
    if kind == "length":
        headers.append(("Content-Length", str(len(told))))
    write = start_response("200 OK", headers)
    if kind == "write":
        write(told)
        return []
    return iter([told[:5], told[5:]]) if kind == "generator" else [told]

application = validator(application)
"#;

fn site() -> Httpd {
    Httpd::both_modes("threads=2", JUDGED).conf("WSGIChunkedRequest On\nWSGIMapHEADToGET Off").start()
}

/// Bodies as they are sent: the header that announces them, the bytes on the wire, and what the application reads.
fn bodies() -> Vec<(String, Vec<u8>, Vec<u8>)> {
    let large: Vec<u8> = (0..1 << 20).map(|n: u32| if n % 100 == 0 { b'\n' } else { (n % 251) as u8 }).collect();
    let whole = |body: &[u8]| (format!("Content-Length: {}", body.len()), body.to_vec(), body.to_vec());
    let mut chunks = Vec::new();
    for chunk in large[..200_000].chunks(70_000) {
        chunks.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        chunks.extend_from_slice(&[chunk, b"\r\n"].concat());
    }
    chunks.extend_from_slice(b"0\r\n\r\n");
    vec![
        ("X-None: true".into(), vec![], vec![]),
        whole(b""),
        whole(b"a small\nbody"),
        whole(&large),
        ("Transfer-Encoding: chunked".into(), chunks, large[..200_000].to_vec()),
    ]
}

fn exchange(client: &mut Client, method: &str, path: &str, header: &str, sent: &[u8]) -> Answer {
    client.exchange(method, path, &[header], sent).unwrap_or_else(|error| panic!("{method} {path} {header}: {error}"))
}

fn nothing_found(site: &Httpd) {
    let complaints = ["Assertion", "Warning", "garbage collected"];
    let found: Vec<_> =
        records(&site.log.text()).into_iter().filter(|r| complaints.iter().any(|c| r.contains(c))).collect();
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn every_method_with_every_body() {
    let site = site();
    site.log.expect(&["read"]);
    for mode in MODES {
        let mut client = site.client();
        for (header, sent, read) in bodies() {
            let path = format!("{mode}?blocks-list");
            for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
                let answer = exchange(&mut client, method, &path, &header, &sent);
                assert_eq!(answer.status, 200, "{method} {header}");
                let told = answer.all("X-Told").concat();
                assert!(told.starts_with(&format!("{method} {} ", read.len())), "{method} {header}: {told}");
                assert_eq!(answer.text(), if method == "HEAD" { "" } else { &told }, "{method} {header}");
            }
        }
    }
    nothing_found(&site);
    site.finish();
}

#[test]
fn every_way_to_read_with_every_way_to_answer() {
    let site = site();
    site.log.expect(&["read"]);
    for mode in MODES {
        let mut client = site.client();
        for reader in ["blocks", "lines", "readlines", "iteration", "nothing"] {
            for kind in ["list", "length", "generator", "write", "empty"] {
                for (header, sent, _) in bodies().iter().filter(|(_, _, read)| (1..1 << 20).contains(&read.len())) {
                    let answer = exchange(&mut client, "POST", &format!("{mode}?{reader}-{kind}"), header, sent);
                    assert_eq!(answer.status, if kind == "empty" { 204 } else { 200 }, "{reader} {kind} {header}");
                    assert!(answer.complete, "{reader} {kind} {header}");
                }
            }
        }
    }
    nothing_found(&site);
    site.finish();
}
