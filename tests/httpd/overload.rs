//! More requests than threads, and groups whose processes do not start.

use crate::status::{site, wait_for};
use harness::{Httpd, PROBE, Site, eventually, in_time};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How late what a limit brings about may show, on a machine that does other things too.
const LATE: Duration = Duration::from_millis(1000);

/// Waits until so many processes are ready.
fn ready(site: &Httpd, processes: usize) {
    wait_for(site, "the processes are ready", |group| group["processes_ready"] == processes);
}

/// Waits until so many requests are executed, and so many wait.
fn settled(site: &Httpd, busy: usize, waiting: usize) {
    wait_for(site, "the requests are where they belong", |group| {
        group["threads_busy"] == busy && group["requests_waiting"] == waiting
    });
}

#[test]
fn a_full_queue_is_answered_503_at_once_without_a_thread() {
    for processes in [1, 2] {
        let options = format!("processes={processes} threads=1 queue-size=2");
        let site = site(&options).start();
        ready(&site, processes);
        let busy: Vec<_> = (0..processes).map(|_| site.in_background("/?time.sleep(3)")).collect();
        settled(&site, processes, 0);
        let waiting: Vec<_> = (0..2).map(|_| site.in_background("/?os.getpid()")).collect();
        settled(&site, processes, 2);
        let (refused, took) = site.in_background("/?os.getpid()").join().expect("a thread");
        assert_eq!(refused.status, 503, "{refused:?}");
        assert_eq!(refused.header("retry-after"), Some("5"));
        assert!(took < in_time(LATE), "{took:?}");
        for request in busy.into_iter().chain(waiting) {
            assert_eq!(request.join().expect("a thread").0.status, 200);
        }
        assert_eq!(site.get("/?1").status, 200);
        site.log.wait_for("WSGI1018: ");
        site.finish();
    }
}

#[test]
fn a_request_that_waits_longer_than_queue_timeout_is_answered_504_at_that_moment_and_never_executed() {
    for processes in [1, 2] {
        let options = format!("processes={processes} threads=1 queue-timeout=1");
        let site = site(&options).start();
        site.log.expect(&["WSGI1016: "]);
        ready(&site, processes);
        let busy: Vec<_> = (0..processes).map(|_| site.in_background("/?time.sleep(3)")).collect();
        settled(&site, processes, 0);
        let wanted = "/?open(os.environ.get('TMPDIR','/tmp')%2B'/never-'%2Bstr(os.getppid()),'w').close()";
        let (refused, took) = site.in_background(wanted).join().expect("a thread");
        assert_eq!(refused.status, 504, "{refused:?}");
        assert_eq!(refused.header("retry-after"), Some("5"));
        assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(1) + in_time(LATE), "{took:?}");
        for request in busy {
            assert_eq!(request.join().expect("a thread").0.status, 200);
        }
        let executed = "os.path.exists(os.environ.get('TMPDIR','/tmp')+'/never-'+str(os.getppid()))";
        assert_eq!(site.ask(executed), json!(false));
        site.finish();
    }
}

#[test]
fn queue_timeout_counts_until_a_thread_has_the_request_and_not_its_execution() {
    let site = site("threads=1 queue-timeout=1").start();
    ready(&site, 1);
    assert_eq!(site.get("/?time.sleep(2.2)").status, 200);
    // The connection is the same, and reads on it wait as they should.
    assert_eq!(site.get("/?time.sleep(1.5)").status, 200);
    site.finish();
}

#[test]
fn a_waiting_request_is_served_as_soon_as_a_thread_is_free_in_any_process() {
    let site = site("processes=2 threads=1").start();
    ready(&site, 2);
    let long = site.in_background("/?time.sleep(3)");
    settled(&site, 1, 0);
    let short = site.in_background("/?time.sleep(1)");
    settled(&site, 2, 0);
    let begun = Instant::now();
    assert_eq!(site.get("/?1").status, 200);
    let took = begun.elapsed();
    assert!(took > Duration::from_millis(300) && took < Duration::from_secs(1) + in_time(LATE), "{took:?}");
    for request in [long, short] {
        assert_eq!(request.join().expect("a thread").0.status, 200);
    }
    site.finish();
}

#[test]
fn nobody_waits_behind_a_request_that_takes_longer_than_all_before_it() {
    let hangs = r#"
import time
def application(environ, start_response):
    if environ["QUERY_STRING"] == "hangs":
        time.sleep(6)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"done"]
"#;
    let site = site("processes=2 threads=1").app("site.wsgi", hangs).conf("MaxKeepAliveRequests 0").start();
    ready(&site, 2);
    let mut client = site.client();
    // What takes some microseconds stays with one process.
    for _ in 0..2000 {
        assert_eq!(client.exchange("GET", "/", &[], b"").expect("an answer").status, 200);
    }
    let busy = site.in_background("/?hangs");
    settled(&site, 1, 0);
    for _ in 0..20 {
        let begin = Instant::now();
        assert_eq!(client.exchange("GET", "/", &[], b"").expect("an answer").status, 200);
        assert!(begin.elapsed() < in_time(LATE), "the other process has nothing to do: {:?}", begin.elapsed());
    }
    assert_eq!(busy.join().expect("a thread").0.status, 200);
    site.finish();
}

#[test]
fn those_who_wait_are_served_in_about_the_order_in_which_they_came() {
    let site = site("processes=2 threads=1").start();
    ready(&site, 2);
    let begun = Instant::now();
    // Those that wait, are executed, or have been answered.
    let come = |group: &Value| {
        let count = |of: &Value| of.as_u64().expect("a number");
        let answered = count(&group["requests"]["2xx"]);
        count(&group["requests_waiting"]) + count(&group["requests_in_flight"]) + answered
    };
    let requests: Vec<_> = (0..12u64)
        .map(|n| {
            let url = site.url("/?time.sleep(0.15)");
            let request = std::thread::spawn(move || (n, harness::get(&url).status, begun.elapsed()));
            wait_for(&site, "the request has come", |group| come(group) > n);
            request
        })
        .collect();
    let mut done: Vec<_> = requests.into_iter().map(|r| r.join().expect("a thread")).collect();
    assert!(done.iter().all(|(_, status, _)| *status == 200), "{done:?}");
    done.sort_by_key(|(_, _, at)| *at);
    let displaced = done.iter().enumerate().map(|(place, (n, ..))| (place as u64).abs_diff(*n)).max();
    assert!(displaced.is_some_and(|d| d <= 5), "{done:?}");
    site.finish();
}

#[test]
fn custom_pages_stand_in_for_refused_requests() {
    let site = site("threads=1 queue-size=1 queue-timeout=1")
        .conf("ErrorDocument 503 /full.html\nErrorDocument 504 /slow.html")
        .conf("Alias /full.html {root}/htdocs/full.html\nAlias /slow.html {root}/htdocs/slow.html")
        .file("htdocs/full.html", "full")
        .file("htdocs/slow.html", "slow")
        .start();
    site.log.expect(&["WSGI1018: ", "WSGI1016: "]);
    ready(&site, 1);
    let busy = site.in_background("/?time.sleep(3)");
    settled(&site, 1, 0);
    let slow = site.in_background("/?1");
    wait_for(&site, "one more is in flight", |group| group["requests_in_flight"] == 2);
    let full = site.get("/?1");
    assert_eq!((full.status, full.text().as_str(), full.header("retry-after")), (503, "full", Some("5")));
    let (slow, _) = slow.join().expect("a thread");
    assert_eq!((slow.status, slow.text().as_str()), (504, "slow"));
    assert_eq!(busy.join().expect("a thread").0.status, 200);
    site.finish();
}

#[test]
fn more_connections_than_listen_backlog_wait_their_time_and_no_longer() {
    let site = site("threads=1 listen-backlog=1 connect-timeout=1").start();
    site.log.expect(&["WSGI1015: cannot connect to the processes of the group"]);
    ready(&site, 1);
    let busy = site.in_background("/?time.sleep(4)");
    settled(&site, 1, 0);
    let others: Vec<_> = (0..6).map(|_| site.in_background("/?1")).collect();
    let mut refused = 0;
    for other in others {
        let (answer, took) = other.join().expect("a thread");
        match answer.status {
            200 => {}
            503 => {
                refused += 1;
                assert!(
                    took >= Duration::from_millis(900) && took < Duration::from_secs(1) + in_time(LATE),
                    "{took:?}"
                );
            }
            status => panic!("{status}"),
        }
    }
    assert!(refused > 0);
    assert_eq!(busy.join().expect("a thread").0.status, 200);
    site.finish();
}

#[test]
fn a_group_whose_processes_do_not_start_answers_500_at_once_and_recovers_by_itself() {
    let site = Httpd::builder()
        .conf("WSGIDaemonProcess site home={root}/later\nWSGIScriptAlias / {apps}/site.wsgi process-group=site")
        .app("site.wsgi", PROBE)
        .start();
    site.log.expect(&["WSGI1013: the processes of the group fail when they start"]);
    site.log.wait_for("later");
    for _ in 0..3 {
        let begun = Instant::now();
        let answer = site.get("/?1");
        assert_eq!(answer.status, 500, "{answer:?}");
        assert!(begun.elapsed() < in_time(LATE), "{:?}", begun.elapsed());
        assert!(!answer.text().contains("later"), "the client is told nothing of the inside: {}", answer.text());
        // Requests do not bring about attempts: those in the time that passes here are counted below.
        std::thread::sleep(Duration::from_millis(250));
    }
    let attempts = site.log.text().matches("WSGI1304: ").count();
    assert!((1..=5).contains(&attempts), "{attempts} attempts within a second");
    site.write("later/here", "");
    let recovers = eventually(Duration::from_secs(6), || (site.get("/?1").status == 200).then_some(()));
    assert!(recovers.is_some(), "it does not recover");
    site.finish();
}
