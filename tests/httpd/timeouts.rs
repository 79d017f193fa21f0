//! Requests that take too long, processes that get stuck, applications that do not start.

use harness::{Httpd, PROBE, Site, alive, eventually, in_time};
use serde_json::json;
use std::time::{Duration, Instant};

/// How late what a timeout brings about may show, on a machine that does other things too.
const LATE: Duration = Duration::from_millis(900);

/// Python that never gives the GIL back while it sleeps in C.
const HOLDING: &str = "__import__('ctypes').PyDLL(None).sleep";

fn pid(site: &Httpd) -> u32 {
    site.ask("os.getpid()").as_u64().and_then(|pid| pid.try_into().ok()).expect("a pid")
}

fn assert_took(took: Duration, wanted: Duration) {
    assert!(took >= wanted && took < wanted + in_time(LATE), "took {took:?}, wanted {wanted:?}");
}

fn spin() -> String {
    format!("{PROBE}\ndef spin():\n    while True:\n        pass\n")
}

#[test]
fn a_request_that_computes_for_too_long_is_interrupted_alone_and_on_time() {
    let site = Httpd::site("threads=3 request-timeout=1 interrupt-timeout=5", &spin()).start();
    let first = pid(&site);
    let stuck = site.in_background("/?spin()");
    let (answer, took) = stuck.join().expect("a thread");
    assert_eq!(answer.status, 504, "{answer:?}");
    assert_took(took, Duration::from_secs(1));
    assert_eq!(pid(&site), first, "the process goes on");
    site.log.wait_for("Injected RequestTimeout");
    site.finish();
}

#[test]
fn a_request_stuck_in_c_code_is_answered_504_when_its_time_is_over_and_its_process_replaced() {
    let site = Httpd::site("threads=2 request-timeout=1 interrupt-timeout=1 shutdown-timeout=1", PROBE).start();
    site.log.expect(&["WSGI1307: …has exceeded request-timeout"]);
    let first = pid(&site);
    let (answer, took) = site.in_background("/?time.sleep(20)").join().expect("a thread");
    assert_eq!(answer.status, 504, "{answer:?}");
    assert_took(took, Duration::from_secs(2));
    assert_ne!(pid(&site), first);
    assert!(eventually(Duration::from_secs(4), || (!alive(first)).then_some(())).is_some(), "it is still there");
    site.finish();
}

#[test]
fn without_an_interrupt_timeout_the_process_is_replaced_and_other_requests_finish() {
    let site = Httpd::site("threads=3 request-timeout=2 shutdown-timeout=1", PROBE).start();
    site.log.expect(&["WSGI1307: …has exceeded request-timeout"]);
    let first = pid(&site);
    let stuck = site.in_background("/?time.sleep(20)");
    // The other request is younger by this: its own time is not over when that of the first one is.
    std::thread::sleep(Duration::from_millis(1000));
    let other = site.in_background("/?time.sleep(1.5)%20or%20os.getpid()");
    let (answer, took) = stuck.join().expect("a thread");
    assert_eq!(answer.status, 504, "{answer:?}");
    assert_took(took, Duration::from_secs(2));
    let (other, _) = other.join().expect("a thread");
    assert_eq!((other.status, other.json()), (200, json!(first)));
    assert_ne!(pid(&site), first);
    site.finish();
}

#[test]
fn request_timeouts_work_whatever_other_timeouts_are_off() {
    let site = Httpd::site(
        "threads=1 request-timeout=1 deadlock-timeout=0 inactivity-timeout=0 graceful-timeout=0 shutdown-timeout=1",
        PROBE,
    )
    .start();
    site.log.expect(&["WSGI1307: …has exceeded request-timeout"]);
    let (answer, took) = site.in_background("/?time.sleep(20)").join().expect("a thread");
    assert_eq!(answer.status, 504, "{answer:?}");
    assert_took(took, Duration::from_secs(1));
    site.finish();
}

#[test]
fn an_interruption_that_comes_too_late_does_not_hit_the_next_request() {
    let site = Httpd::site("threads=1 request-timeout=1 interrupt-timeout=10", PROBE).start();
    // The exception is pending while C code sleeps, and the request ends before Python looks at it, or with it.
    for _ in 0..2 {
        let (answer, _) = site.in_background("/?time.sleep(1.2)").join().expect("a thread");
        assert!(matches!(answer.status, 200 | 504), "{answer:?}");
        for _ in 0..20 {
            assert_eq!(site.ask("sum(range(1000))"), 499_500);
        }
    }
    site.finish();
}

#[test]
fn many_threads_do_not_make_a_request_timeout_longer_unless_asked_to() {
    // For 3 threads the factor is 1 + ln 3.
    let site = Httpd::site("threads=3 request-timeout=1 request-timeout-scaling=On shutdown-timeout=1", PROBE).start();
    site.log.expect(&["WSGI1307: …has exceeded request-timeout"]);
    let (answer, took) = site.in_background("/?time.sleep(20)").join().expect("a thread");
    assert_eq!(answer.status, 504, "{answer:?}");
    assert_took(took, Duration::from_millis(2098));
    site.finish();
}

#[test]
fn a_custom_page_stands_in_for_a_request_that_has_timed_out() {
    let site = Httpd::site("threads=1 request-timeout=1 shutdown-timeout=1", PROBE)
        .conf("ErrorDocument 504 /sorry.html\nAlias /sorry.html {root}/htdocs/sorry.html")
        .file("htdocs/sorry.html", "too slow, sorry")
        .start();
    site.log.expect(&["WSGI1307: …has exceeded request-timeout"]);
    let (answer, _) = site.in_background("/?time.sleep(20)").join().expect("a thread");
    assert_eq!((answer.status, answer.text().trim()), (504, "too slow, sorry"));
    site.finish();
}

#[test]
fn a_process_whose_lock_is_never_given_back_is_replaced_and_nobody_else_notices_but_by_waiting() {
    let site = Httpd::site("threads=3 deadlock-timeout=1 shutdown-timeout=1", PROBE).start();
    let first = pid(&site);
    let begun = Instant::now();
    let stuck = site.executing(&format!("{HOLDING}(20)"));
    let waiting: Vec<_> = (0..3).map(|_| site.in_background("/?os.getpid()")).collect();
    let answer = stuck.join().expect("a thread").expect("an answer");
    assert_eq!(answer.status, 502, "{}", answer.text());
    assert!(begun.elapsed() < in_time(Duration::from_secs(3)), "{:?}", begun.elapsed());
    for request in waiting {
        let (answer, _) = request.join().expect("a thread");
        assert_eq!(answer.status, 200, "not begun, so another process executes it: {answer:?}");
        assert_ne!(answer.json(), json!(first));
    }
    site.log.wait_for("WSGI1307: …deadlock-timeout=1");
    assert_eq!(site.log.text().matches("deadlock-timeout=1").count(), 1);
    site.finish();
}

#[test]
fn a_process_that_was_idle_for_longer_than_its_deadlock_timeout_is_not_taken_for_stuck() {
    let site = Httpd::probe("deadlock-timeout=1");
    let first = pid(&site);
    // Nothing tells that nothing happens: this is more than twice the timeout.
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(pid(&site), first);
    site.finish();
}

#[test]
fn an_idle_process_is_not_woken() {
    // Of the workers one looks for a while after each request whether there are more; that is not meant here.
    let count = r#"
def switches():
    total = 0
    for task in os.listdir("/proc/self/task"):
        status = dict(line.rstrip().split(":\t", 1) for line in open(f"/proc/self/task/{task}/status"))
        if not status["Name"].removeprefix("wsgi-").isdigit():
            total += int(status["voluntary_ctxt_switches"])
    return total
"#;
    let options = "request-timeout=5 interrupt-timeout=1 deadlock-timeout=5 rss-limit=4G";
    let site = Httpd::site(options, &format!("{PROBE}{count}")).start();
    let _ = pid(&site);
    // What begins with the first request (its workers, the look at other requests) has ended by then.
    std::thread::sleep(Duration::from_millis(2200));
    let before = site.ask("switches()").as_u64().expect("a number");
    // The time that is measured: longer than each of the timeouts.
    std::thread::sleep(Duration::from_secs(6));
    let after = site.ask("switches()").as_u64().expect("a number");
    assert!(after - before < 8, "{} switches in six seconds", after - before);
    site.finish();
}

#[test]
fn a_process_that_grows_beyond_its_rss_limit_is_replaced_without_a_failure() {
    let site = Httpd::probe("rss-limit=150M");
    site.log.expect(&["WSGI1307: …has exceeded rss-limit"]);
    let first = pid(&site);
    assert_eq!(site.ask("kept.setdefault('much', b'x' * 200_000_000) and 1"), 1);
    let next = eventually(Duration::from_secs(5), || Some(pid(&site)).filter(|pid| *pid != first));
    assert!(next.is_some(), "the process is still the same");
    site.log.wait_for("rss_limit");
    site.finish();
}

#[test]
fn a_script_that_does_not_load_in_time_costs_an_error_and_the_process() {
    let slow = format!("import os, time\nif not os.path.exists('{{root}}/quick'):\n    time.sleep(20)\n{PROBE}");
    let site = Httpd::builder()
        .conf("WSGIDaemonProcess site startup-timeout=1 shutdown-timeout=1\nWSGIScriptAlias / {apps}/slow.wsgi process-group=site")
        .app("slow.wsgi", &slow)
        .start();
    let (answer, took) = site.in_background("/?1").join().expect("a thread");
    assert_eq!(answer.status, 502, "{answer:?}");
    assert_took(took, Duration::from_secs(1));
    site.log.wait_for("WSGI1307: …startup-timeout=1");
    site.write("quick", "");
    assert_eq!(site.ask("1"), 1);
    site.finish();
}
