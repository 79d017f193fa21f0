//! Panics in what Python calls of our classes, and in what the engine calls of an Apache child: each is brought about
//! by code that the application runs.

use harness::{MODES, Site, eventually};

use crate::place::{KEPT, LOST, Place, SOON, ask, is_well};

/// What fails raises `SystemError` in the application, which lets it through.
const FAILS: &[(&str, &str)] = &[
    ("mod_wsgi.Adapter.start_response", ""),
    ("mod_wsgi.Adapter.write", "start_response('200 OK', [])(b'x')"),
    ("mod_wsgi.Adapter.early_hints", ""),
    ("mod_wsgi.Adapter.ssl_is_https", "start_response.__self__.ssl_is_https()"),
    ("mod_wsgi.Adapter.ssl_var_lookup", "start_response.__self__.ssl_var_lookup('HTTPS')"),
    ("mod_wsgi.Input.read", ""),
    ("mod_wsgi.Input.readline", "environ['wsgi.input'].readline()"),
    ("mod_wsgi.Input.readlines", "environ['wsgi.input'].readlines()"),
    ("mod_wsgi.Input.close", "environ['wsgi.input'].close()"),
    ("mod_wsgi.Input.tp_iternext", "next(environ['wsgi.input'])"),
    ("mod_wsgi.Log.write", ""),
    ("mod_wsgi.Log.writelines", "environ['wsgi.errors'].buffer.writelines([])"),
    ("mod_wsgi.Log.flush", "environ['wsgi.errors'].buffer.flush()"),
    ("mod_wsgi.Log.close", "environ['wsgi.errors'].buffer.close()"),
    ("mod_wsgi.Log.isatty", "environ['wsgi.errors'].buffer.isatty()"),
    ("mod_wsgi.Log.readable", "environ['wsgi.errors'].buffer.readable()"),
    ("mod_wsgi.Log.seekable", "environ['wsgi.errors'].buffer.seekable()"),
    ("mod_wsgi.Log.writable", "environ['wsgi.errors'].buffer.writable()"),
    ("mod_wsgi.Log.fileno", "environ['wsgi.errors'].buffer.fileno()"),
    ("mod_wsgi.Log.name", "environ['wsgi.errors'].buffer.name"),
    ("mod_wsgi.Log.encoding", "environ['wsgi.errors'].buffer.encoding"),
    ("mod_wsgi.Log.errors", "environ['wsgi.errors'].buffer.errors"),
    ("mod_wsgi.Log.closed", "environ['wsgi.errors'].buffer.closed"),
    ("mod_wsgi.FileWrapper.tp_new", "environ['wsgi.file_wrapper'](io.BytesIO())"),
    ("mod_wsgi.FileWrapper.tp_init", "environ['wsgi.file_wrapper'](io.BytesIO())"),
    ("mod_wsgi.FileWrapper.tp_iternext", "next(environ['wsgi.file_wrapper'](io.BytesIO()))"),
    ("mod_wsgi.FileWrapper.close", "environ['wsgi.file_wrapper'](io.BytesIO()).close()"),
    ("mod_wsgi.FileWrapper.filelike", "environ['wsgi.file_wrapper'](io.BytesIO()).filelike"),
    ("mod_wsgi.FileWrapper.blksize", "environ['wsgi.file_wrapper'](io.BytesIO()).blksize"),
    ("mod_wsgi.Functions.subscribe_events", "mod_wsgi.subscribe_events(print)"),
    ("mod_wsgi.Functions.subscribe_shutdown", "mod_wsgi.subscribe_shutdown(print)"),
    ("mod_wsgi.Functions.subscribe_signals", "mod_wsgi.subscribe_signals(print)"),
    ("mod_wsgi.Functions.request_data", ""),
    ("mod_wsgi.Functions.start_recording_metrics", "mod_wsgi.start_recording_metrics()"),
    ("mod_wsgi.Functions.request_metrics", "mod_wsgi.request_metrics()"),
    ("mod_wsgi.Functions.process_metrics", "mod_wsgi.process_metrics()"),
    ("mod_wsgi.Functions.server_metrics", "mod_wsgi.server_metrics()"),
    ("mod_wsgi.Functions.__getattr__", "mod_wsgi.active_requests"),
    ("mod_wsgi.Functions.__dir__", "dir(mod_wsgi)"),
    ("mod_wsgi.Functions._log_enabled", "mod_wsgi.request_data.__self__._log_enabled(30)"),
    ("mod_wsgi.Functions._log", "mod_wsgi.request_data.__self__._log(20, 'of no interest', None, 'l', 'f', 1)"),
    ("mod_wsgi.Functions._note", "mod_wsgi.request_data.__self__._note('of no interest')"),
    ("mod_wsgi.Functions._about_to_fork", "mod_wsgi.request_data.__self__._about_to_fork()"),
    ("mod_wsgi.Restricted.tp_getattro", "sys.stdin.read"),
];

/// What only tidies up raises nothing, and so costs the request nothing.
const TIDIES_UP: &[(&str, &str)] = &[
    ("mod_wsgi.Adapter.tp_dealloc", ""),
    ("mod_wsgi.Input.tp_dealloc", ""),
    ("mod_wsgi.Log.tp_dealloc", ""),
    ("mod_wsgi.FileWrapper.tp_dealloc", "environ['wsgi.file_wrapper'](io.BytesIO())"),
    (
        "mod_wsgi.FileWrapper.tp_clear",
        "w = type('W', (mod_wsgi.FileWrapper,), {})(io.BytesIO()); w.me = w; del w; gc.collect()",
    ),
    ("mod_wsgi.Restricted.tp_dealloc", "sys.stdin = sys.__stdin__ = None"),
];

#[test]
fn a_panic_in_what_python_calls_is_a_system_error() {
    let Some(place) = Place::new("panics in what Python calls") else { return };
    let site = place.server("server-metrics=On threads=1").conf("WSGIServerMetrics On\nWSGIRestrictStdin On").start();
    site.log.expect(&["Exception processing"]);
    for mode in MODES {
        is_well(&site, mode, "the start");
        for (at, code) in FAILS {
            place.costs(&site, mode, at, code, LOST);
        }
        for (at, code) in TIDIES_UP {
            place.costs(&site, mode, at, code, KEPT);
        }
    }
    site.finish();
}

/// What the engine calls of the Apache child that it is in, beside the pieces of a response.
#[test]
fn a_panic_in_what_the_engine_calls_is_an_answer_that_there_is_none() {
    let Some(place) = Place::new("panics in what the engine calls") else { return };
    let site = place.server("").conf("WSGIServerMetrics On").start();
    is_well(&site, "/embedded", "the start");
    let cases = [
        ("a record", "t = threading.Thread(target=print, args=('of no interest',)); t.start(); t.join()"),
        ("server metrics", "assert not mod_wsgi.server_metrics()"),
        ("a variable of mod_ssl", "assert start_response.__self__.ssl_var_lookup('HTTPS') is None"),
    ];
    for (at, code) in cases {
        place.costs(&site, "/embedded", at, code, KEPT);
    }
    site.finish();
}

/// Files that Apache sends when the application is done with them.
#[test]
fn a_panic_while_a_file_is_sent_cuts_the_response_off() {
    let Some(place) = Place::new("panics in files") else { return };
    let site = place.server("threads=1").conf("EnableMMAP Off\nEnableSendfile Off").start();
    let file = place.scratch.write("file", "x".repeat(1 << 20));
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).expect("its mode");
    let code = format!("response = environ['wsgi.file_wrapper'](open({:?}, 'rb'))", file.display().to_string());
    for mode in MODES {
        assert_eq!(ask(&site, mode, &code).1.len(), 1 << 20, "{mode}: {}", site.log.text());
        place.costs(&site, mode, "a read of a passed file", &code, &[0]);
        place.costs(&site, mode, "the end of a passed file", &code, KEPT);
    }
    site.finish();
}

/// A body that Apache refuses while the application reads it.
#[test]
fn a_panic_while_a_body_is_refused_costs_that_request() {
    let Some(place) = Place::new("panics in refused bodies") else { return };
    let site = place.server("threads=1").conf("WSGIChunkedRequest On").start();
    site.log.expect(&["Exception processing", "request body"]);
    for mode in MODES {
        is_well(&site, mode, "the start");
        place.panic_in("a body that is refused");
        let mut client = site.client();
        client.send_head("POST", mode, &["Transfer-Encoding: chunked"]).expect("sent");
        client.send(b"3\r\nabc\r\nzz\r\n").expect("sent");
        let status = client.answer("POST").map_or(0, |answer| answer.status);
        assert!(matches!(status, 0 | 400 | 500), "{mode}: {status}: {}", site.log.text());
        place.is_told("a body that is refused", &site);
        assert!(eventually(SOON, || client.is_closed().then_some(())).is_some(), "{mode}: it stays open");
        is_well(&site, mode, "a body that is refused");
    }
    site.finish();
}
