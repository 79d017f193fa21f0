//! How large the stacks of threads are that run Python code.

use harness::{Httpd, Site, kill};
use serde_json::{Value, json};

/// Notes how large the stack is wherever it is called.
const STACKS: &str = r#"
import ctypes, json, mod_wsgi, os, resource

libc = ctypes.CDLL(None)
libc.pthread_self.restype = ctypes.c_void_p

def stack():
    attributes, size = ctypes.create_string_buffer(128), ctypes.c_size_t()
    libc.pthread_getattr_np(ctypes.c_void_p(libc.pthread_self()), attributes)
    libc.pthread_attr_getstacksize(attributes, ctypes.byref(size))
    return size.value >> 10

found = {"import": stack(), "pid": os.getpid()}
mod_wsgi.subscribe_signals(lambda name, **event: found.update(signal=stack()))
mod_wsgi.subscribe_shutdown(lambda name, **event: print("at the end", stack(), "KiB", flush=True))

def nested(key):
    return sorted([key + 1], key=nested)

def application(environ, start_response):
    if environ["PATH_INFO"].endswith("/recursion"):
        try:
            nested(0)
        except RecursionError:
            found["recursion"] = True
    found.update(request=stack(), limit=resource.getrlimit(resource.RLIMIT_STACK)[0] >> 10)
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(found).encode()]
"#;

fn sizes(options: &str) -> Value {
    let mut site = Httpd::builder()
        .app("site.wsgi", STACKS)
        .conf(&format!("WSGISingleInterpreter Off\nWSGIDaemonProcess site threads=2 {options}"))
        .conf("WSGIScriptAlias / {apps}/site.wsgi process-group=site application-group=sub")
        .start();
    site.log.expect(&["at the end "]);
    let pid = site.get("/").json()["pid"].as_u64().expect("a pid");
    assert!(kill(u32::try_from(pid).expect("a pid"), libc::SIGHUP));
    let told = || Some(site.get("/").json()).filter(|found| !found["signal"].is_null());
    let mut found = harness::eventually(std::time::Duration::from_secs(5), told).expect("the signal");
    let _ = site.stop();
    let log = site.log.text();
    let end = log.split("at the end ").nth(1).and_then(|rest| rest.split(' ').next()?.parse::<u64>().ok());
    found["end"] = json!(end);
    site.finish();
    found
}

#[test]
fn threads_that_run_python_have_the_stack_that_the_group_or_the_system_says() {
    let (own, systems) = (sizes("stack-size=3145728"), sizes(""));
    for place in ["import", "request", "signal", "end"] {
        assert_eq!(own[place], json!(3072), "{place}: {own}");
        let (size, limit) = (systems[place].as_u64().unwrap_or(0), systems["limit"].as_u64().unwrap_or(0));
        // The kernel's "unlimited" is no size.
        let wanted = if limit >= 1 << 40 { 8192 } else { limit.clamp(256, 256 << 10) };
        assert_eq!(size, wanted, "{place}: {systems}");
    }
}

#[test]
fn endless_recursion_through_c_is_an_exception() {
    for group in ["%{GLOBAL}", "sub"] {
        let site = Httpd::builder()
            .app("site.wsgi", STACKS)
            .conf("WSGISingleInterpreter Off\nWSGIDaemonProcess site")
            .conf(&format!("WSGIScriptAlias / {{apps}}/site.wsgi process-group=site application-group={group}"))
            .start();
        site.log.expect(&["at the end "]);
        assert_eq!(site.get("/recursion").json()["recursion"], json!(true), "{group}: {}", site.log.text());
        site.finish();
    }
}
