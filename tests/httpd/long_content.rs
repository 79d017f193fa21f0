//! Content that is too long to be sent beside its head: the process puts it into memory that the Apache child shares.

use harness::{Client, Httpd, Site};

/// Sends pieces of the sizes that the query string says, in which each byte says where it is.
const PIECES: &str = r#"
import os, signal

PATTERN = bytes(range(251)) * 20_000

def application(environ, start_response):
    kind, sizes = environ["PATH_INFO"], [int(size) for size in environ["QUERY_STRING"].split(",")]
    length = [("Content-Length", str(sum(sizes)))] if kind == "/known" else []
    write = start_response("200 OK", [("Content-Type", "application/octet-stream"), *length])
    if kind == "/written":
        for piece in pieces(sizes):
            write(piece)
        return []
    return [*pieces(sizes)] if kind == "/known" else pieces(sizes, kind)

def pieces(sizes, kind=None):
    at = 0
    for size in sizes:
        yield PATTERN[at % 251:at % 251 + size]
        at += size
    if kind == "/broken":
        raise RuntimeError("in the midst")
    if kind == "/killed":
        os.kill(os.getpid(), signal.SIGKILL)
"#;

/// What is in between of what is sent in one way and in another, and more than the memory has room for.
const SIZES: [&[usize]; 9] = [
    &[16_383],
    &[16_384],
    &[100_000, 5, 700_000, 16_384, 2_000_000, 1],
    &[262_144],
    &[262_145],
    &[1 << 20],
    &[(1 << 20) + 1],
    &[5_000_000],
    &[20_000; 100],
];

fn path(kind: &str, sizes: &[usize]) -> String {
    let sizes: Vec<String> = sizes.iter().map(usize::to_string).collect();
    format!("/{kind}?{}", sizes.join(","))
}

fn ask(client: &mut Client, method: &str, path: &str) -> (usize, bool) {
    client.send_head(method, path, &[]).expect("sent");
    let answer = client.answer(method).expect("an answer");
    assert_eq!(answer.status, 200, "{path}");
    let is_in_order = answer.body.iter().enumerate().all(|(at, byte)| *byte == (at % 251) as u8);
    assert!(is_in_order, "{path}: each byte is in its place");
    (answer.body.len(), answer.complete)
}

#[test]
fn long_content_arrives_whole_and_in_order_whatever_its_pieces_are() {
    // As it is, and through a filter of the connection, which looks at it.
    for conf in ["", "DumpIOOutput On"] {
        let site = Httpd::site("threads=2", PIECES).conf(conf).start();
        let mut client = site.client();
        for kind in ["known", "streamed", "written"] {
            for sizes in SIZES {
                let path = path(kind, sizes);
                assert_eq!(ask(&mut client, "GET", &path), (sizes.iter().sum(), true), "{conf} {path}");
                assert_eq!(ask(&mut client, "HEAD", &path), (0, true), "{conf} {path}");
            }
        }
        site.finish();
    }
}

#[test]
fn connections_beyond_those_that_have_such_memory_get_their_content_too() {
    let site = Httpd::site("threads=2", PIECES).start();
    // Each client that has not got its answer keeps a connection to the process.
    let mut clients: Vec<Client> = (0..20).map(|_| site.client()).collect();
    let path = path("streamed", &[1_000_000; 3]);
    for client in &mut clients {
        client.send_head("GET", &path, &[]).expect("sent");
    }
    for client in &mut clients {
        let answer = client.answer("GET").expect("an answer");
        assert!(answer.complete && answer.body.len() == 3_000_000);
    }
    for client in &mut clients {
        assert_eq!(ask(client, "GET", &path), (3_000_000, true));
    }
    site.finish();
}

#[test]
fn long_content_that_breaks_off_is_not_whole() {
    for (kind, record) in [("broken", "WSGI0174: "), ("killed", "WSGI1")] {
        let site = Httpd::site("threads=1", PIECES).start();
        site.log.expect(&[record]);
        for sizes in [&[400_000; 5][..], &[20_000; 3]] {
            let (length, is_complete) = ask(&mut site.client(), "GET", &path(kind, sizes));
            assert!(!is_complete && length <= sizes.iter().sum(), "{kind} {sizes:?}");
            assert_eq!(ask(&mut site.client(), "GET", "/known?1000000"), (1_000_000, true), "{kind} {sizes:?}");
        }
        site.finish();
    }
}

#[test]
fn a_client_that_goes_in_the_midst_of_long_content_leaves_the_thread_free() {
    let site = Httpd::site("threads=1", PIECES).start();
    for _ in 0..20 {
        for sizes in [&[5_000_000][..], &[300_000; 20]] {
            let mut client = site.client();
            client.send_head("GET", &path("streamed", sizes), &[]).expect("sent");
            client.read(1).expect("the answer begins");
        }
        assert_eq!(ask(&mut site.client(), "GET", "/known?1000000"), (1_000_000, true));
    }
    site.finish();
}

/// Goes on with its response when a second client has told it that the first one has got what there is.
const BURSTS: &str = r#"
import threading

go = threading.Semaphore(0)

def application(environ, start_response):
    if environ["PATH_INFO"] == "/go":
        go.release()
        start_response("200 OK", [])
        return []
    start_response("200 OK", [("Content-Length", "1200000")])
    return bursts()

def bursts():
    for number in range(40):
        # The last ones are many short pieces, which come soon after each other.
        for size in [(20_000, 5, 9_995), (9_999, 1, 20_000), [100] * 300][number % 3]:
            yield b"x" * size
        if not go.acquire(timeout=30):
            raise RuntimeError(f"the client has not got burst {number}")
"#;

#[test]
fn each_piece_is_sent_before_the_application_waits_for_what_the_client_does_with_it() {
    let site = Httpd::site("threads=2", BURSTS).start();
    let (mut client, mut other) = (site.client(), site.client());
    // The memory is there from the second response on.
    for _ in 0..2 {
        client.send_head("GET", "/", &[]).expect("sent");
        assert_eq!(client.status().expect("a head"), 200);
        for burst in 0..40 {
            client.read(30_000).unwrap_or_else(|e| panic!("burst {burst}: {e}"));
            assert_eq!(other.exchange("GET", "/go", &[], b"").expect("an answer").status, 200);
        }
    }
    site.finish();
}
