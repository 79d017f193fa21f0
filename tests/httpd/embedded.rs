//! Embedded mode: requests without a process group run in the Apache child, in an interpreter that it loads when it
//! needs one.

use harness::{HELLO, Httpd, MODES, Mpm, PROBE, Site, alive, eventually, kill, product};
use std::time::Duration;

// The tests that stop a server keep their connection to it: a child of the event MPM may crash, before it ends anything
// of ours, when a connection is being closed as the child is stopped (`httpd` 2.4.71, in mod_mpm_event, without our
// module too).

fn embedded(script: &str) -> harness::Builder {
    Httpd::builder().conf("WSGIScriptAlias / {apps}/app.wsgi application-group=%{GLOBAL}").app("app.wsgi", script)
}

#[test]
fn a_request_without_a_process_group_runs_in_the_apache_child() {
    let site = embedded(PROBE).start();
    let told = site.ask("[environ['mod_wsgi.process_group'], str(os.getpid()) == environ['mod_wsgi.server_pid'], environ['mod_wsgi.daemon_start']]");
    assert_eq!(told, serde_json::json!(["", true, 0.0]));
    site.finish();
}

#[test]
fn every_mpm_serves_embedded_requests() {
    for mpm in [Mpm::Event, Mpm::Worker, Mpm::Prefork] {
        let site = embedded(HELLO).mpm(mpm).start();
        assert_eq!(site.get("/").text(), "hello", "{mpm:?}");
        site.finish();
    }
}

#[test]
fn a_child_that_serves_no_embedded_request_maps_no_python() {
    let site = embedded(PROBE).file("htdocs/page.txt", "a static file").conf("Alias /static {root}/htdocs").start();
    let mapped = || {
        let maps = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
        site.processes().into_iter().filter(|pid| maps(*pid).contains("libpython")).count()
    };
    assert_eq!(mapped(), 0);
    site.ask("1");
    assert_eq!(mapped(), 1, "one child, never the parent");
    site.finish();
}

#[test]
fn a_changed_script_is_loaded_again_in_the_same_process() {
    let site = embedded(&(PROBE.to_owned() + "version = 1\n")).start();
    let before = site.ask("[version, os.getpid()]");
    site.write("apps/app.wsgi", &(PROBE.to_owned() + "version = 2\n"));
    let after = site.ask("[version, os.getpid()]");
    assert_eq!((&before[0], &after[0]), (&serde_json::json!(1), &serde_json::json!(2)));
    assert_eq!(before[1], after[1]);
    site.finish();
}

#[test]
fn exit_functions_run_when_the_child_ends() {
    let goodbye = "import atexit, sys\natexit.register(lambda: print('goodbye', file=sys.stderr, flush=True))\n";
    let mut site = embedded(&(goodbye.to_owned() + PROBE)).start();
    site.log.expect(&["goodbye"]);
    let mut client = site.client();
    let child = client.exchange("GET", "/?os.getpid()", &[], b"").expect("an answer").text().parse().expect("a pid");
    assert!(site.stop().expect("it stops").success());
    assert!(eventually(Duration::from_secs(2), || (!alive(child)).then_some(())).is_some());
    assert_eq!(site.log.text().matches("goodbye").count(), 1);
    site.finish();
}

#[test]
fn application_groups_end_in_order_too() {
    let goodbye = "import atexit, sys\natexit.register(lambda: print('goodbye', file=sys.stderr, flush=True))\n";
    let mut site = Httpd::builder()
        .conf("WSGIScriptAlias /one {apps}/app.wsgi\nWSGIScriptAlias /two {apps}/app.wsgi")
        .app("app.wsgi", &(goodbye.to_owned() + PROBE))
        .start();
    site.log.expect(&["goodbye"]);
    let mut client = site.client();
    for mount in ["/one", "/two"] {
        let path = format!("{mount}?environ['mod_wsgi.application_group'][-4:]");
        assert_eq!(client.exchange("GET", &path, &[], b"").expect("an answer").text(), format!("\"{mount}\""));
    }
    assert!(site.stop().expect("it stops").success());
    let log = site.log.text();
    assert_eq!((log.matches("goodbye").count(), log.matches("Fatal").count()), (2, 0), "{log}");
    site.finish();
}

/// With the MPM prefork the stop is a signal handler, which has interrupted whoever waits for Python.
#[test]
fn a_child_ends_while_its_python_begins() {
    let site = Httpd::builder()
        .module_config(&format!("LoadModule wsgi_module {}", product().module().display()))
        .conf("WSGIPythonHome {root}/home\nWSGIScriptAlias / {apps}/app.wsgi")
        .app("app.wsgi", HELLO)
        .file("home/bin/python", "#!/bin/sh\nexec sleep 60\n")
        .mpm(Mpm::Prefork)
        .start();
    let python = site.root().join("home/bin/python");
    std::fs::set_permissions(python, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("a program");
    let mut client = site.client();
    client.send_head("GET", "/", &[]).expect("sent");
    let sleeper = |pid: &u32| {
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        let command = |pid: &u32| std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        children.split_whitespace().filter_map(|pid| pid.parse().ok()).find(|pid| command(pid).starts_with(b"sleep"))
    };
    let waits = || site.processes().into_iter().find_map(|pid| sleeper(&pid).map(|asked| (pid, asked)));
    let (child, asked) = eventually(Duration::from_secs(10), waits).expect("a child that asks its interpreter");
    assert!(kill(child, libc::SIGTERM));
    assert!(eventually(Duration::from_secs(10), || (!alive(child)).then_some(())).is_some());
    kill(asked, libc::SIGKILL);
    site.finish();
}

#[test]
fn a_child_that_loads_a_script_before_its_first_request_ends_when_it_is_told() {
    let site = embedded("import time\nprint('loading', flush=True)\ntime.sleep(60)\ndef application(e, s): pass\n")
        .conf("WSGIImportScript {apps}/app.wsgi process-group=%{GLOBAL} application-group=%{GLOBAL}")
        .mpm(Mpm::Prefork)
        .start();
    site.log.wait_for("loading");
    let loading = site.log.text().lines().find(|line| line.ends_with("] loading")).map(str::to_owned).expect("a line");
    let pid = loading.split("[pid ").nth(1).and_then(|rest| rest.split([':', ']']).next()).expect("a number");
    let child: u32 = pid.parse().expect("a number");
    assert!(kill(child, libc::SIGTERM));
    assert!(eventually(Duration::from_secs(10), || (!alive(child)).then_some(())).is_some());
    site.finish();
}

#[test]
fn restricted_embedded_mode_is_an_error_that_names_the_cure() {
    let site = embedded(HELLO).conf("WSGIRestrictEmbedded On").start();
    assert_eq!(site.get("/").status, 500);
    site.log.wait_for("WSGI0143: WSGIRestrictEmbedded");
    site.finish();
}

#[test]
fn the_request_that_asks_is_an_active_one() {
    let site = embedded(&format!("import mod_wsgi\n{PROBE}")).start();
    site.ask("mod_wsgi.start_recording_metrics()");
    let told = site.ask("(m := mod_wsgi.request_metrics(), [m['request_threads_active'], sum(e > 0 for e in m['request_threads_current_elapsed'])])[1]");
    assert_eq!(told, serde_json::json!([1, 1]));
    site.finish();
}

#[test]
fn signals_cannot_be_subscribed_to_and_the_log_says_where_it_was_tried() {
    let site = embedded(&format!("import mod_wsgi\n{PROBE}")).start();
    assert_eq!(
        site.ask("[mod_wsgi.subscribe_signals(print) is print, mod_wsgi.signal_callbacks]"),
        serde_json::json!([true, []])
    );
    let log = site.log.wait_for("subscribe_signals() has no effect in embedded mode");
    assert!(log.contains("in application"), "{log}");
    site.finish();
}

#[test]
fn text_is_utf_8_in_the_locale_c_as_in_daemon_processes() {
    let ask = r"[sys.getfilesystemencoding(), os.fsencode('/\xe4').hex(), open(os.devnull).encoding.lower().replace('-', '')]";
    for locale in ["C", "POSIX"] {
        let site = Httpd::both_modes("lang=C", PROBE).env("LANG", locale).env("LC_ALL", locale).start();
        for mode in harness::MODES {
            assert_eq!(site.ask_at(mode, ask), serde_json::json!(["utf-8", "2fc3a4", "utf8"]), "{locale} {mode}");
        }
        site.finish();
    }
}

/// Starts programs in several ways, ends them, and answers how they have ended; and whether its thread has its signals
/// as before.
const STARTS_PROGRAMS: &str = r#"
import asyncio, json, multiprocessing, os, signal, subprocess, threading

def terminated():
    program = subprocess.Popen(["sleep", "100"])
    program.terminate()
    return program.wait()

def spawned():
    pid = os.posix_spawnp("sleep", ["sleep", "100"], os.environ)
    os.kill(pid, signal.SIGTERM)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

async def awaited():
    program = await asyncio.create_subprocess_exec("sleep", "100")
    program.terminate()
    return await program.wait()

def served():
    process = multiprocessing.get_context("forkserver").Process(target=os.getpid)
    process.start()
    process.join(100)
    return process.exitcode

def in_thread():
    found = []
    thread = threading.Thread(target=lambda: found.append(terminated()))
    thread.start()
    thread.join()
    return found[0]

def application(environ, start_response):
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    found = [terminated(), spawned(), asyncio.run(awaited()), in_thread()]
    found.append(before == signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    # This one changes the mask itself, for good.
    found.append(served())
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(found).encode()]
"#;

#[test]
fn programs_that_are_started_get_the_signals_that_apache_blocks_in_its_threads() {
    let site = Httpd::both_modes("", STARTS_PROGRAMS).start();
    for mode in MODES {
        assert_eq!(site.get(mode).json(), serde_json::json!([-15, -15, -15, -15, true, 0]), "{mode}");
    }
    site.finish();
}

/// Answers which request it was, as thread and request have it, and in what thread it was executed. `/slow` takes a
/// second; `/local` a value of the thread.
const THREADS: &str = r#"
import json, threading, time, mod_wsgi

local = threading.local()
executing, most = 0, 0

def application(environ, start_response):
    global executing, most
    executing += 1
    most = max(most, executing)
    mod_wsgi.request_data()["asked"] = environ["QUERY_STRING"]
    local.asked = environ["QUERY_STRING"]
    if environ["PATH_INFO"] == "/slow":
        time.sleep(1)
    told = {
        "asked": [mod_wsgi.request_data()["asked"], local.asked],
        "thread": threading.get_native_id(),
        "name": open("/proc/self/task/%d/comm" % threading.get_native_id()).read().strip(),
        "number": environ["mod_wsgi.thread_id"],
        "current": any(r.get("asked") == environ["QUERY_STRING"] for r in mod_wsgi.active_requests.values()),
        "most": most,
    }
    executing -= 1
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(told).encode()]
"#;

/// The name of a thread that serves requests for those of Apache, as the system cuts it off.
const EXECUTOR: &str = "wsgi-executor";

/// What so many clients are told who all ask at once, each as often as this.
fn ask_at_once(site: &Httpd, path: &str, clients: usize, times: usize) -> Vec<serde_json::Value> {
    std::thread::scope(|scope| {
        let ask = move |client: usize| {
            let mut connection = site.client();
            let mut told = Vec::new();
            for time in 0..times {
                let asked = format!("{client}-{time}");
                let answer = connection.exchange("GET", &format!("{path}?{asked}"), &[], b"").expect("an answer");
                let answer: serde_json::Value = serde_json::from_str(&answer.text()).expect("JSON");
                assert_eq!(answer["asked"], serde_json::json!([asked, asked]), "{answer}");
                told.push(answer);
            }
            told
        };
        let clients: Vec<_> = (0..clients).map(|client| scope.spawn(move || ask(client))).collect();
        clients.into_iter().flat_map(|client| client.join().expect("a client")).collect()
    })
}

#[test]
fn requests_that_come_at_once_are_executed_by_one_thread_after_the_other() {
    let site = embedded(THREADS).start();
    let told = ask_at_once(&site, "/", 8, 100);
    assert!(told.iter().all(|answer| answer["current"] == true), "{told:?}");
    assert!(told.iter().any(|answer| answer["name"] == EXECUTOR), "{:?}", told.last());
    let numbers: std::collections::BTreeSet<_> = told.iter().map(|answer| answer["number"].as_u64()).collect();
    assert!(numbers.len() > 1, "the number is that of Apache's thread, whoever executes the request");
    site.finish();
}

#[test]
fn a_request_that_takes_long_holds_up_no_other() {
    let site = embedded(THREADS).start();
    ask_at_once(&site, "/", 4, 20);
    std::thread::scope(|scope| {
        let slow: Vec<_> = (0..3).map(|_| scope.spawn(|| ask_at_once(&site, "/slow", 1, 1))).collect();
        std::thread::sleep(Duration::from_millis(200));
        let start = std::time::Instant::now();
        ask_at_once(&site, "/", 4, 5);
        assert!(start.elapsed() < Duration::from_millis(500) && slow.iter().all(|slow| !slow.is_finished()));
    });
    let most = ask_at_once(&site, "/slow", 6, 1).iter().filter_map(|answer| answer["most"].as_u64()).max();
    assert!(most >= Some(6), "all at the same time: {most:?}");
    site.finish();
}

#[test]
fn who_may_use_apaches_own_record_is_executed_by_apaches_own_thread() {
    let site = embedded(THREADS).conf("WSGIPassApacheRequest On").start();
    let told = ask_at_once(&site, "/", 8, 50);
    assert!(told.iter().all(|answer| answer["name"] != EXECUTOR));
    site.finish();
}
