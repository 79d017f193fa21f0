//! `SetHandler wsgi-status`: the server tells how it is, without asking a daemon process.

use harness::{Browser, Httpd, Mpm, PROBE, Site, alive, cannot_run, eventually, repository};
use serde_json::{Value, json};
use std::time::Duration;

pub(crate) const LOCATION: &str = "<Location /wsgi-status>\n    SetHandler wsgi-status\n</Location>\n\
    <Location /server-status>\n    SetHandler server-status\n</Location>";

/// A server whose group `site` can be watched.
pub(crate) fn site(options: &str) -> harness::Builder {
    Httpd::site(options, PROBE).conf(LOCATION)
}

fn group(site: &Httpd) -> Value {
    site.get("/wsgi-status?format=json").json()["groups"][0].take()
}

/// Waits until a number of the group is as it should be.
pub(crate) fn wait_for(site: &Httpd, what: &str, reached: impl Fn(&Value) -> bool) {
    let found = eventually(Duration::from_secs(10), || reached(&group(site)).then_some(()));
    assert!(found.is_some(), "{what}: {}", group(site));
}

#[test]
fn it_answers_while_all_threads_are_busy() {
    let site = site("processes=1 threads=1").start();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| site.ask("time.sleep(0.7)"));
        }
        wait_for(&site, "one is executed, two are in flight", |g| {
            g["threads_busy"] == 1 && g["requests_in_flight"] == 3 && g["state"] == "ready"
        });
        assert_eq!(site.get("/wsgi-status/ready").status, 200);
    });
    wait_for(&site, "three answers", |g| g["requests"]["2xx"] == 3 && g["threads_busy"] == 0);
    let now = group(&site);
    assert!(now["request_duration"]["sum_seconds"].as_f64().is_some_and(|sum| sum > 2.0), "{now}");
    assert!(now["request_duration"]["p99_seconds"].as_f64().is_some_and(|p| p > 0.5), "{now}");
    let process = &now["processes"][0];
    assert_eq!((&process["state"], &process["requests"], &process["threads"]), (&json!("ready"), &json!(3), &json!(1)));
    assert!(process["resident_memory_bytes"].as_u64().is_some_and(|bytes| bytes > 4 << 20), "{process}");
    site.finish();
}

#[test]
fn requests_that_wait_are_counted() {
    let site = site("processes=2 threads=1").start();
    wait_for(&site, "both are ready", |g| g["processes_ready"] == 2);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| site.ask("time.sleep(0.4)"));
        }
        wait_for(&site, "one waits", |g| g["requests_waiting"] == 1);
    });
    wait_for(&site, "nobody waits, one has", |g| g["requests_waiting"] == 0 && g["request_wait"]["count"] == 1);
    site.finish();
}

#[test]
fn requests_that_die_with_an_apache_child_are_not_counted_for_ever() {
    let site = site("processes=2 threads=1").start();
    wait_for(&site, "both are ready", |g| g["processes_ready"] == 2);
    let child = site.ask("environ['mod_wsgi.server_pid']").as_str().and_then(|pid| pid.parse().ok()).expect("a pid");
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| site.try_request("GET", "/?time.sleep(1)", &[], b"").is_err());
        }
        wait_for(&site, "two run, one waits", |g| g["requests_in_flight"] == 2 && g["requests_waiting"] == 1);
        assert!(harness::kill(child, libc::SIGKILL));
    });
    wait_for(&site, "nothing is left", |g| {
        ["requests_in_flight", "requests_waiting", "threads_busy"].iter().all(|name| g[*name] == 0)
    });
    site.log.wait_for("WSGI1302: an Apache child has died");
    site.finish();
}

#[test]
fn a_child_that_ends_in_order_is_not_taken_for_dead() {
    for mpm in [Mpm::Event, Mpm::Worker, Mpm::Prefork] {
        let mut site = site("processes=1").mpm(mpm).start();
        let child =
            site.ask("environ['mod_wsgi.server_pid']").as_str().and_then(|pid| pid.parse().ok()).expect("a pid");
        site.signal(libc::SIGUSR1);
        assert!(eventually(Duration::from_secs(10), || (!alive(child)).then_some(())).is_some(), "{mpm:?}");
        site.ask("1");
        assert!(site.stop().expect("it stops").success());
        assert!(!site.log.text().contains("WSGI1302: "), "{mpm:?}: {}", site.log.text());
    }
}

#[test]
fn without_a_process_it_says_so_and_why_requests_were_refused() {
    let site = site("processes=1 python-home=/nowhere connect-timeout=1").start();
    site.log.expect(&["WSGI1304: ", "WSGI1013: the processes of the group fail when they start"]);
    // Its first process is still starting when Apache begins to answer.
    let is_down = || Some(site.get("/wsgi-status/ready")).filter(|ready| ready.text().contains("'site' is down"));
    let ready = eventually(Duration::from_secs(10), is_down).unwrap_or_else(|| site.get("/wsgi-status/ready"));
    assert_eq!((ready.status, ready.text().lines().count()), (503, 1), "{ready:?}");
    assert!(ready.text().contains("'site' is down"), "{ready:?}");
    // Apache answers before the supervisor has begun.
    let lives = || (site.get("/wsgi-status/live").status == 200).then_some(());
    assert!(eventually(Duration::from_secs(10), lives).is_some());
    assert_eq!(site.get("/").status, 500);
    assert_eq!(group(&site)["requests_refused"]["no_process"], 1);
    assert_eq!(group(&site)["requests"]["5xx"], 0);
}

#[test]
fn readiness_can_be_asked_of_one_group() {
    let site = site("processes=1").conf("WSGIDaemonProcess broken python-home=/nowhere").start();
    site.log.expect(&["WSGI1304: "]);
    wait_for(&site, "it is ready", |_| site.get("/wsgi-status/ready?group=site").status == 200);
    assert_eq!(site.get("/wsgi-status/ready?group=broken").status, 503);
    assert_eq!(site.get("/wsgi-status/ready").status, 503);
    assert_eq!(site.get("/wsgi-status/ready?group=other").status, 404);
}

#[test]
fn ends_of_processes_are_counted_by_reason_and_outlive_a_graceful_restart() {
    let mut site = site("processes=1").start();
    site.log.expect(&["WSGI1026: ", "WSGI1307: …was ended by signal"]);
    let before = site.ask("os.getpid()");
    site.try_request("GET", "/?os.kill(os.getpid(),9)", &[], b"").ok();
    wait_for(&site, "killed", |g| g["process_exits"]["killed"] == 1);
    let second = site.ask("os.getpid()");
    assert_ne!(second, before);
    site.write("apps/site.wsgi", &format!("{PROBE}\nchanged = 1\n"));
    assert_ne!(site.ask("os.getpid()"), second);
    wait_for(&site, "reloaded", |g| g["process_exits"]["script_reload"] == 1);
    site.signal(libc::SIGUSR1);
    wait_for(&site, "restarted", |g| g["process_exits"]["graceful_signal"] == 1 && g["process_exits"]["killed"] == 1);
    assert_eq!(site.get("/wsgi-status?format=json").json()["generation"], 2);
    site.finish();
}

fn names(site: &Httpd) -> Vec<String> {
    let groups = site.get("/wsgi-status?format=json").json()["groups"].take();
    groups.as_array().expect("a list").iter().map(|group| group["name"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn a_group_that_is_configured_no_more_is_gone() {
    let mut site =
        site("processes=1").conf("Include {root}/more.conf").file("more.conf", "WSGIDaemonProcess more").start();
    assert_eq!(names(&site), ["more", "site"]);
    site.write("more.conf", "WSGIDaemonProcess later");
    site.signal(libc::SIGUSR1);
    assert!(eventually(Duration::from_secs(10), || (names(&site) == ["later", "site"]).then_some(())).is_some());
    site.finish();
}

#[test]
fn the_form_is_chosen_by_query_or_accept_header_and_never_cached() {
    let site = site("processes=1").start();
    site.ask("1");
    let ask = |path: &str, accept: &str| site.request("GET", path, &[("Accept", accept)], b"");
    for (path, accept, kind, text) in [
        ("/wsgi-status", "text/html", "text/html; charset=utf-8", "<!doctype html>"),
        ("/wsgi-status", "application/json", "application/json", "{\"version\""),
        ("/wsgi-status", "text/plain", "text/plain; version=0.0.4; charset=utf-8", "# HELP mod_wsgi_info"),
        (
            "/wsgi-status?format=prometheus",
            "text/html",
            "text/plain; version=0.0.4; charset=utf-8",
            "# HELP mod_wsgi_info",
        ),
    ] {
        let answer = ask(path, accept);
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(kind)), "{path} {accept}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert!(answer.text().starts_with(text), "{answer:?}");
    }
    assert_eq!(site.get("/wsgi-status?format=xml").status, 400);
    let head = site.request("HEAD", "/wsgi-status/ready", &[], b"");
    assert_eq!((head.status, head.body.len()), (200, 0));
    let post = site.post("/wsgi-status", b"x");
    assert_eq!((post.status, post.header("allow")), (405, Some("GET, HEAD")));
    site.finish();
}

#[test]
fn mod_status_shows_the_groups() {
    let site = site("processes=2 threads=3").start();
    wait_for(&site, "both are ready", |g| g["processes_ready"] == 2);
    let lines = site.get("/server-status?auto").text();
    assert!(lines.contains("\nWsgiThreads[site]: 6\n") && lines.contains("\nWsgiState[site]: ready\n"), "{lines}");
    let page = site.get("/server-status").text();
    assert!(
        page.contains("<h2>mod_wsgi process groups</h2>") && page.contains("<th scope=\"row\">site</th>"),
        "{page}"
    );
    site.finish();
}

#[test]
fn the_page_refreshes_itself_under_its_own_policy() {
    let Some(browser) = Browser::start() else {
        return cannot_run("the_page_refreshes_itself_under_its_own_policy", "there is no chromedriver");
    };
    let name = "<b>shop</b>";
    let site = Httpd::builder()
        .app("site.wsgi", PROBE)
        .conf(&format!(
            "WSGIDaemonProcess \"{name}\" processes=2 threads=4\n\
             WSGIScriptAlias / {{apps}}/site.wsgi process-group=\"{name}\" application-group=%{{GLOBAL}}"
        ))
        .conf(LOCATION)
        .start();
    site.ask("1");
    browser.go_to(&site.url("/wsgi-status"));
    browser.wait_for_text(name);
    std::thread::scope(|scope| {
        for user in 0..4 {
            let site = &site;
            scope.spawn(move || {
                (0..60).for_each(|n| drop(site.ask(&format!("time.sleep({})", 0.005 * f64::from(1 + (n + user) % 9)))))
            });
        }
        let drawn = "Number(document.querySelector('svg .first').getAttribute('d').length > 0)";
        assert!(eventually(Duration::from_secs(10), || (browser.evaluate(drawn) == 1).then_some(())).is_some());
        browser.wait_for_text("of 8");
    });
    let answered = "[...document.querySelectorAll('.tiles dd')][3].textContent";
    assert!(eventually(Duration::from_secs(5), || (browser.evaluate(answered) == "241").then_some(())).is_some());
    assert_eq!(browser.errors(), [""; 0]);
    assert!(browser.evaluate("[...document.querySelectorAll('svg')].every(s => s.getAttribute('aria-label'))") == true);
    assert_eq!(browser.evaluate("document.querySelectorAll('h2 b').length"), 0);
    let directory = repository().join("artifacts");
    std::fs::create_dir_all(&directory).expect("artifacts/ can be made");
    std::fs::write(directory.join("wsgi-status.png"), browser.screenshot()).expect("a picture");
    site.finish();
}
