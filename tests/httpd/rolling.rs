//! A process is replaced by one that has loaded the application, and no request waits for that or fails.

use harness::{Httpd, Load, Outcome, PROBE, Site, alive, eventually, kill};
use std::time::{Duration, Instant, SystemTime};

/// How long the application takes to load where a test wants that to show.
const LOAD: Duration = Duration::from_millis(1500);

/// How long it takes where Apache itself pauses: on a graceful restart it may start new children only with its next
/// maintenance, up to a second after the old ones have stopped to listen.
const LONG_LOAD: Duration = Duration::from_secs(3);

/// What the application may do while it is loaded: nothing, take so many seconds, or fail.
const MOODY: &str = r#"
import os, time
mood = open(os.path.join(os.path.dirname(__file__), "mood")).read()
if mood == "broken":
    raise RuntimeError("in a bad mood")
time.sleep(float(mood or 0))
"#;

fn script(version: u32) -> String {
    format!("version = {version}\n{MOODY}{PROBE}")
}

/// A site whose application is at `/`, loaded by its first request, and the pid of the process that has done so.
fn moody(options: &str) -> (Httpd, u32) {
    let site = Httpd::builder()
        .app("site.wsgi", &script(1))
        .file("apps/mood", "")
        // A name that is not literal, so that only the first request tells what to load.
        .conf("SetEnv WHERE here")
        .conf(&format!(
            "WSGIDaemonProcess site {options}\n\
             WSGIScriptAlias / {{apps}}/site.wsgi process-group=site application-group=%{{ENV:WHERE}}"
        ))
        .start();
    site.log.expect(&["WSGI0109: ", "WSGI1308: "]);
    let first = daemon(&site);
    (site, first)
}

fn daemon(site: &Httpd) -> u32 {
    site.ask("os.getpid()").as_u64().and_then(|pid| pid.try_into().ok()).expect("a pid")
}

/// Puts a new version of the script in the place of the old one, with a modification time of its own.
fn change(site: &Httpd, version: u32) {
    site.write("apps/new", &script(version));
    let (new, script) = (site.root().join("apps/new"), site.root().join("apps/site.wsgi"));
    let time = SystemTime::now() + Duration::from_secs(u64::from(version) * 10);
    std::fs::File::options().append(true).open(&new).and_then(|file| file.set_modified(time)).expect("a time");
    std::fs::rename(&new, &script).expect("renamed");
}

/// Waits until only another process than this one answers.
fn replaced(site: &Httpd, old: u32) -> u32 {
    let new = eventually(Duration::from_secs(15), || Some(daemon(site)).filter(|pid| *pid != old));
    assert!(eventually(Duration::from_secs(15), || (!alive(old)).then_some(())).is_some(), "{old} still lives");
    new.expect("another process")
}

fn failed(outcomes: &[Outcome]) -> Vec<&Outcome> {
    outcomes.iter().filter(|outcome| !outcome.is_success()).collect()
}

fn slowest(outcomes: &[Outcome]) -> Duration {
    outcomes.iter().map(|outcome| outcome.done - outcome.sent).max().unwrap_or_default()
}

/// The application takes this long to load; `provoke` makes the process go; nobody should notice.
fn nobody_waits(options: &str, load_time: Duration, provoke: impl FnOnce(&mut Httpd, u32)) {
    let (mut site, first) = moody(options);
    site.write("apps/mood", &load_time.as_secs_f64().to_string());
    let load = Load::start(&site, "/?time.sleep(0.01)", 2);
    provoke(&mut site, first);
    replaced(&site, first);
    let outcomes = load.stop();
    assert!(failed(&outcomes).is_empty(), "{:#?}", failed(&outcomes));
    assert!(slowest(&outcomes) < load_time, "a request took {:?}", slowest(&outcomes));
    site.finish();
}

#[test]
fn nobody_waits_when_a_process_has_had_its_maximum_of_requests() {
    nobody_waits("maximum-requests=20", LOAD, |_, _| {});
}

#[test]
fn nobody_waits_when_a_process_gets_old() {
    nobody_waits("restart-interval=1", LOAD, |_, _| {});
}

#[test]
fn nobody_waits_for_the_successor_of_a_process_that_gets_sigusr1() {
    nobody_waits("eviction-timeout=5", LOAD, |_, pid| assert!(kill(pid, libc::SIGUSR1)));
}

#[test]
fn nobody_waits_when_apache_restarts_gracefully() {
    nobody_waits("", LONG_LOAD, |site, _| site.signal(libc::SIGUSR1));
}

#[test]
fn nobody_waits_for_a_changed_script_with_script_reload_rolling() {
    nobody_waits("script-reload=rolling", LOAD, |site, _| change(site, 2));
}

#[test]
fn with_script_reload_rolling_all_processes_are_replaced() {
    let (site, _) = moody("script-reload=rolling processes=3 threads=1");
    let load = Load::start(&site, "/?time.sleep(0.02)%20or%20version", 3);
    let before = harness::daemons(&site, 3, None);
    change(&site, 2);
    let gone = eventually(Duration::from_secs(15), || before.iter().all(|pid| !alive(*pid)).then_some(()));
    assert!(gone.is_some(), "of {before:?} some still live");
    let outcomes = load.stop();
    assert!(failed(&outcomes).is_empty(), "{:#?}", failed(&outcomes));
    assert_eq!(site.ask("version"), 2);
    site.finish();
}

#[test]
fn requests_that_come_after_a_change_wait_for_the_new_code_and_no_longer() {
    let (site, first) = moody("processes=2 threads=2");
    site.write("apps/mood", &LOAD.as_secs_f64().to_string());
    let running = site.executing("time.sleep(1) or version");
    change(&site, 2);
    let changed = Instant::now();
    let load = Load::start(&site, "/?version", 4);
    assert_eq!(site.ask("version"), 2);
    let waited = changed.elapsed();
    replaced(&site, first);
    let outcomes = load.stop();
    assert!(failed(&outcomes).is_empty(), "{:#?}", failed(&outcomes));
    assert!(outcomes.iter().all(|outcome| matches!(&outcome.answer, Ok((_, body)) if body == b"2")));
    // The load time, and room for a machine that is busy otherwise.
    assert!(waited < LOAD + harness::in_time(Duration::from_secs(2)), "{waited:?}");
    let ran = running.join().expect("a thread").expect("an answer");
    assert_eq!(ran.text(), "1", "what was running finishes in the old process");
    site.finish();
}

#[test]
fn an_application_may_load_for_longer_than_connect_timeout() {
    let site = Httpd::builder()
        .app("site.wsgi", &script(1))
        .file("apps/mood", &LOAD.as_secs_f64().to_string())
        .conf(
            "WSGIDaemonProcess site connect-timeout=1\n\
             WSGIScriptAlias / {apps}/site.wsgi process-group=site application-group=%{GLOBAL}",
        )
        .start();
    assert_eq!(site.ask("version"), 1);
    change(&site, 2);
    assert_eq!(site.ask("version"), 2);
    site.finish();
}

/// The new code cannot be loaded: the old process serves, the log has one traceback, and repairing the script is
/// enough.
fn old_code_serves_on(options: &str) {
    let (site, first) = moody(options);
    site.write("apps/mood", "broken");
    change(&site, 2);
    let load = Load::start(&site, "/?version", 2);
    site.log.wait_for("WSGI1308: ");
    // For a moment more the old code serves, and the log gets no second record.
    std::thread::sleep(Duration::from_millis(300));
    let outcomes = load.stop();
    assert!(failed(&outcomes).is_empty(), "{:#?}", failed(&outcomes));
    assert_eq!(site.ask("[version, os.getpid()]"), serde_json::json!([1, first]));
    let log = site.log.text();
    assert_eq!(log.matches("RuntimeError: in a bad mood").count(), 1, "{log}");
    assert_eq!(log.matches("WSGI1308: ").count(), 1, "{log}");
    site.write("apps/mood", "");
    change(&site, 3);
    assert!(eventually(Duration::from_secs(10), || (site.ask("version") == 3).then_some(())).is_some());
    site.finish();
}

#[test]
fn the_old_code_serves_while_the_new_one_cannot_be_loaded() {
    old_code_serves_on("");
}

#[test]
fn the_old_code_serves_while_the_new_one_cannot_be_loaded_with_script_reload_rolling() {
    old_code_serves_on("script-reload=rolling");
}

#[test]
fn after_a_change_that_fails_the_next_one_is_served_by_its_first_request() {
    let (site, first) = moody("");
    site.write("apps/mood", "broken");
    change(&site, 2);
    assert_eq!(site.ask("version"), 1);
    site.write("apps/mood", "");
    change(&site, 3);
    assert_eq!(site.ask("version"), 3);
    replaced(&site, first);
    site.finish();
}

#[test]
fn apache_restarts_gracefully_and_the_old_process_serves_while_the_code_cannot_be_loaded() {
    let (mut site, first) = moody("");
    site.write("apps/mood", "broken");
    site.signal(libc::SIGUSR1);
    site.log.wait_for("WSGI1308: ");
    assert_eq!(daemon(&site), first);
    site.write("apps/mood", "");
    replaced(&site, first);
    site.finish();
}

#[test]
fn a_group_that_a_graceful_restart_removes_finishes_its_requests() {
    let mut site = Httpd::builder()
        .app("site.wsgi", PROBE)
        .conf("WSGIDaemonProcess site\nWSGIDaemonProcess other\nWSGIScriptAlias /other {apps}/site.wsgi process-group=other")
        .conf("WSGIScriptAlias / {apps}/site.wsgi process-group=site")
        .start();
    let other = site.ask_at("/other", "os.getpid()").as_u64().expect("a pid") as u32;
    let running = site.executing_at("/other", "time.sleep(3)");
    let conf = std::fs::read_to_string(site.root().join("httpd.conf")).expect("httpd.conf");
    let kept: Vec<_> = conf.lines().filter(|line| !line.contains("other")).collect();
    site.write("httpd.conf", &kept.join("\n"));
    site.signal(libc::SIGUSR1);
    assert_eq!(running.join().expect("a thread").expect("an answer").status, 200);
    assert!(eventually(Duration::from_secs(10), || (!alive(other)).then_some(())).is_some());
    site.finish();
}

/// The supervisor of a site's daemons.
fn supervisor(site: &Httpd) -> u32 {
    let is_ours = |pid: &u32| {
        std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with("mod_wsgi-superv"))
    };
    site.processes().into_iter().find(is_ours).expect("a supervisor")
}

#[test]
fn without_its_supervisor_a_process_serves_until_another_supervisor_has_others() {
    let (site, first) = moody("");
    site.log.expect(&["WSGI1300: the supervisor of the daemon processes"]);
    let running = site.executing("time.sleep(3) or os.getpid()");
    let load = Load::start(&site, "/?time.sleep(0.01)", 2);
    let old = supervisor(&site);
    assert!(kill(old, libc::SIGKILL));
    let ran = running.join().expect("a thread").expect("an answer");
    assert_eq!(ran.text(), first.to_string(), "what was running finishes");
    replaced(&site, first);
    let outcomes = load.stop();
    assert!(failed(&outcomes).is_empty(), "{:#?}", failed(&outcomes));
    assert!(supervisor(&site) != old);
    site.finish();
}

/// Sends or receives slowly for this many seconds.
const SLOW: &str = r#"
import os, time

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["REQUEST_METHOD"] == "POST":
        print("it uploads", flush=True)
        return [b"%d" % len(environ["wsgi.input"].read())]
    if environ["PATH_INFO"] == "/pid":
        return [b"%d" % os.getpid()]
    def pieces():
        print("it downloads", flush=True)
        for n in range(20):
            time.sleep(0.15)
            yield b"x" * 100000
    return pieces()
"#;

#[test]
fn long_downloads_and_uploads_survive_a_graceful_restart_beyond_graceful_timeout() {
    let mut site = Httpd::site("graceful-timeout=1", SLOW).start();
    let (port, first) = (site.port(), site.get("/pid").text().parse::<u32>().expect("a pid"));
    let download = std::thread::spawn(move || {
        harness::Client::connect(port).exchange("GET", "/", &[], b"").expect("an answer").body.len()
    });
    let upload = std::thread::spawn(move || {
        let mut client = harness::Client::connect(port);
        client.send_head("POST", "/", &["Content-Length: 2000000"]).expect("sent");
        for _ in 0..20 {
            client.send(&[b'x'; 100_000]).expect("sent");
            // The client's pace.
            std::thread::sleep(Duration::from_millis(150));
        }
        client.answer("POST").expect("an answer").text()
    });
    for begun in ["it uploads", "it downloads"] {
        site.log.wait_for(begun);
    }
    site.signal(libc::SIGUSR1);
    assert_eq!(download.join().expect("a thread"), 2_000_000);
    assert_eq!(upload.join().expect("a thread"), "2000000");
    assert!(eventually(Duration::from_secs(10), || (!alive(first)).then_some(())).is_some(), "{first} still lives");
    site.finish();
}

#[test]
fn a_request_without_progress_ends_with_graceful_timeout() {
    let mut site = Httpd::probe("graceful-timeout=1 shutdown-timeout=1");
    site.log.expect(&["WSGI1026: ", "WSGI1307: …did not end within its shutdown-timeout"]);
    let first = daemon(&site);
    let stuck = site.executing("time.sleep(20)");
    site.signal(libc::SIGUSR1);
    assert!(eventually(Duration::from_secs(8), || (!alive(first)).then_some(())).is_some(), "{first} still lives");
    assert!(stuck.join().expect("a thread").is_ok_and(|answer| answer.status == 502));
    site.finish();
}
