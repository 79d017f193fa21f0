//! The process table: what an application can write there harms nobody but its own process group.

use std::time::{Duration, Instant};

use harness::{Httpd, Site};

/// Finds the memory that its process shares with Apache, writes the other group's key into each of the first words for
/// a moment, and garbage over all of it in the end.
const HOSTILE: &str = r#"
import ctypes, functools, threading, time

def shared():
    for line in open('/proc/self/maps'):
        if 'memfd:mod_wsgi' in line and ' rw-s ' in line:
            return [int(number, 16) for number in line.split()[0].split('-')]

def attack(begin, end):
    key = functools.reduce(lambda key, byte: (key ^ byte) * 0x100000001b3 & 2**64 - 1, b'victim', 0xcbf29ce484222325)
    words = (ctypes.c_uint64 * 16).from_address(begin)
    for at in range(16):
        before, words[at] = words[at], key
        time.sleep(0.05)
        words[at] = before
    while True:
        ctypes.memset(begin, 0xff, end - begin)
        time.sleep(0.001)

def application(environ, start_response):
    begin, end = shared()
    threading.Thread(target=attack, args=(begin, end), daemon=True).start()
    start_response('200 OK', [])
    return [b'hostile']
"#;

/// Tells which process has executed the request.
const VICTIM: &str = "
import os

def application(environ, start_response):
    start_response('200 OK', [])
    return [str(os.getpid()).encode()]
";

#[test]
fn an_application_that_writes_into_the_table_gets_no_requests_of_other_groups() {
    let conf = "WSGIDaemonProcess hostile threads=2\nWSGIDaemonProcess victim threads=2\n\
        WSGIScriptAlias /hostile {apps}/hostile.wsgi process-group=hostile application-group=%{GLOBAL}\n\
        WSGIScriptAlias /victim {apps}/victim.wsgi process-group=victim application-group=%{GLOBAL}";
    let site = Httpd::builder().conf(conf).app("hostile.wsgi", HOSTILE).app("victim.wsgi", VICTIM).start();
    let process = site.get("/victim").text();
    assert_eq!(site.get("/hostile").text(), "hostile");
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(1500) {
        let answer = site.get("/victim");
        assert_eq!((answer.status, answer.text()), (200, process.clone()));
    }
    site.finish();
}
