//! Access scripts in a process group: what they cost, and that nobody comes in while their process dies by `kill -9`
//! again and again under load.
//!
//! `cargo bench -p wsgi-tests --bench protected [-- KILLS]`

use harness::{HELLO, Httpd, Job, Load, Role, Site, Verdict, eventually, kill, repetitions};
use std::process::ExitCode;
use std::time::{Duration, Instant};

const KILLS: usize = 50;
const CLIENTS: usize = 8;
/// How long each figure of the cost is measured, and how often; the two take turns, so that both see the same machine.
const ROUND: Duration = Duration::from_secs(4);
const ROUNDS: usize = 5;
/// The least part of unprotected requests that a server answers of protected ones in the same time: each of these is
/// two requests to a daemon.
const RATIO: f64 = 0.45;
/// How soon somebody answers after a kill.
const LIMIT: Duration = Duration::from_secs(5);

/// Lets in who knows the word.
const SCRIPT: &str = "def allow_access(environ, host):\n    return environ['QUERY_STRING'] == 'open'\n";

fn server() -> Httpd {
    let site = Httpd::builder()
        .conf("WSGIRestrictEmbedded On\nWSGIDaemonProcess site threads=5")
        .conf("WSGIDaemonProcess wsgi-access threads=5 display-name=wsgi-access")
        .conf("WSGIScriptAlias /free {apps}/hello.wsgi process-group=site application-group=%{GLOBAL}")
        .conf("WSGIScriptAlias /guarded {apps}/hello.wsgi process-group=site application-group=%{GLOBAL}")
        .conf("<LocationMatch ^/(guarded|file)>\nWSGIAccessScript {apps}/access.py\n</LocationMatch>\nMaxKeepAliveRequests 0")
        .app("hello.wsgi", HELLO)
        .app("access.py", SCRIPT)
        .file("htdocs/file.txt", "a file")
        .log_level("crit")
        .start();
    assert_eq!(["/guarded?open", "/guarded", "/file.txt"].map(|path| site.get(path).status), [200, 403, 403]);
    site
}

/// Requests per second.
fn rate(site: &Httpd, path: &str) -> f64 {
    let begun = Instant::now();
    let load = Load::start(site, path, CLIENTS);
    std::thread::sleep(ROUND);
    let outcomes = load.stop();
    let seconds = begun.elapsed().as_secs_f64();
    assert!(outcomes.iter().all(|outcome| outcome.is_success()), "{path} fails");
    outcomes.len() as f64 / seconds
}

/// The process that is asked.
fn asked(site: &Httpd) -> Option<u32> {
    let is_asked = |pid: &u32| {
        let title = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&title).contains("wsgi-access")
    };
    let daemons = site.census().into_iter().filter(|member| member.role == Role::Daemon);
    daemons.map(|member| member.pid).find(is_asked)
}

fn main() -> ExitCode {
    let mut verdict = Verdict::default();
    let site = server();
    let mut ratios = Vec::new();
    for round in 0..=ROUNDS {
        let (free, guarded) = (rate(&site, "/free"), rate(&site, "/guarded?open"));
        // The first is for warming up.
        if round > 0 {
            println!("{free:.0} requests a second, {guarded:.0} protected ones: {:.2}", guarded / free);
            ratios.push(guarded / free);
        }
    }
    ratios.sort_by(f64::total_cmp);
    let median = ratios[ratios.len() / 2];
    verdict.bound(format!("protected requests: {median:.2} of the others (bound {RATIO})"), median >= RATIO);
    site.finish();

    let kills = repetitions(KILLS);
    let site = server();
    let load = Load::mixed(&site, &[Job::get("/guarded"), Job::get("/guarded?open"), Job::get("/file.txt")], CLIENTS);
    let mut slowest = Duration::ZERO;
    for number in 1..=kills {
        let random = (number as u32).wrapping_mul(2_654_435_769) >> 16;
        std::thread::sleep(Duration::from_micros(u64::from(random % 20_000)));
        let Some(victim) = eventually(LIMIT, || asked(&site)) else { break };
        let at = Instant::now();
        assert!(kill(victim, libc::SIGKILL), "process {victim} has ended by itself");
        let again = || (asked(&site)? != victim && site.get("/guarded?open").status == 200).then_some(());
        assert!(eventually(LIMIT, again).is_some(), "nobody answers after kill {number}");
        slowest = slowest.max(at.elapsed());
    }
    let outcomes = load.stop();
    site.finish();
    let of = |job: usize| outcomes.iter().filter(move |outcome| outcome.job == job);
    let refused = |outcome: &&harness::Outcome| matches!(outcome.answer, Ok((403 | 503, _)));
    let strangers = of(0).count() + of(2).count();
    let admitted = of(0).chain(of(2)).filter(|outcome| outcome.is_success()).count();
    let honest = of(0).chain(of(2)).filter(|outcome| refused(outcome)).count();
    verdict.bound(
        format!("{admitted} of {strangers} requests without the word let in during {kills} kills"),
        admitted == 0,
    );
    verdict.bound(format!("{honest} of them answered 403 or 503"), honest == strangers);
    let (all, lost) = (of(1).count(), of(1).filter(|outcome| !outcome.is_success()).count());
    let told = of(1).filter(|outcome| !outcome.is_success()).filter(|outcome| refused(outcome)).count();
    verdict.bound(format!("{lost} of {all} requests with the word refused, {told} of them with 503"), lost == told);
    println!("slowest recovery {slowest:.1?}");
    verdict.exit_code()
}
