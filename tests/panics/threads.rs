//! Panics in threads that serve no request. What a thread repeats panics twice: who panics again has gone on.

use std::sync::atomic::{AtomicBool, Ordering};

use harness::{HELLO, Httpd, Role, Site, eventually, kill};

use crate::place::{Place, SOON, ask, is_well};

/// Sends a signal to the daemon processes.
fn signal(site: &Httpd, signal: libc::c_int) {
    let daemons = site.census().into_iter().filter(|member| member.role == Role::Daemon);
    daemons.for_each(|member| assert!(kill(member.pid, signal), "a daemon process"));
}

#[test]
fn a_panic_in_a_thread_costs_one_turn_of_it() {
    let Some(place) = Place::new("panics in threads") else { return };
    let options = "server-metrics=On threads=1 deadlock-timeout=60";
    let site = place.server(options).conf("WSGISlowRequests 0.1").start();
    is_well(&site, "/daemon", "the start");
    let subscribe = "mod_wsgi.subscribe_signals(lambda name, **event: print('of no interest', file=sys.stderr))";
    assert_eq!(ask(&site, "/daemon", subscribe).0, 200);
    let nothing: fn(&Httpd) = |_| ();
    let says_something: fn(&Httpd) = |site| signal(site, libc::SIGUSR2);
    let requests: fn(&Httpd) = |site| is_well(site, "/daemon", "a panic");
    let asks_for_metrics: fn(&Httpd) = |site| assert_eq!(ask(site, "/daemon", "mod_wsgi.server_metrics()").0, 200);
    let threads = [
        ("telemetry", nothing),
        ("the main loop", says_something),
        ("a background task", says_something),
        ("the thread for records", says_something),
        ("the thread that tries the GILs", requests),
        ("the thread for server metrics", asks_for_metrics),
    ];
    for (at, bring_about) in threads {
        for _ in 0..2 {
            place.panic_in(at);
            bring_about(&site);
            place.is_told(at, &site);
            is_well(&site, "/daemon", at);
        }
    }
    site.finish();
}

/// Clients that all ask at once, until the panic that has been ordered has happened, or has had its time.
fn contend(site: &Httpd, place: &Place) {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    assert_eq!(site.get("/").text(), "hello", "no request pays for it");
                }
            });
        }
        let _ = eventually(SOON, || place.has_happened().then_some(()));
        is_over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_panic_in_a_thread_that_helps_those_of_apache_costs_one_turn_of_it() {
    let Some(place) = Place::new("panics in executors") else { return };
    let site = Httpd::builder().conf("WSGIScriptAlias / {apps}/app.wsgi application-group=%{GLOBAL}");
    let site = place.built(site.app("app.wsgi", HELLO)).start();
    for at in ["an executor", "the watch over executors"] {
        for _ in 0..2 {
            place.panic_in(at);
            contend(&site, &place);
            place.is_told(at, &site);
        }
    }
    site.finish();
}

/// The thread that writes down the stacks of a process that is stuck: the record about it comes without its help, too.
#[test]
fn a_panic_in_the_last_words_of_a_process_keeps_it_from_nothing() {
    let Some(place) = Place::new("panics in last words") else { return };
    let site = place.server("threads=1 request-timeout=1 shutdown-timeout=1").start();
    site.log.expect(&["request-timeout", "ended by force", "RequestTimeout"]);
    is_well(&site, "/daemon", "the start");
    place.panic_in("stacks");
    assert_eq!(ask(&site, "/daemon", "import time; time.sleep(20)").0, 504);
    place.happens("stacks", &site.log);
    site.log.wait_for("injected into stacks at ");
    is_well(&site, "/daemon", "stacks");
    site.finish();
}
