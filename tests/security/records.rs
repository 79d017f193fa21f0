//! An application can neither forge, cut nor flood the logs.

use harness::{Httpd, Log, Site, eventually, kill};
use serde_json::Value;
use std::time::{Duration, Instant};
use wsgi_wire::limits::{LOG_BURST, LOG_MESSAGE, LOG_PREFIX, LOG_RATE, LOG_RECORD};

/// Evaluates its query string, with [`frames`](../frames.py) at hand.
const HOSTILE: &str = r#"
import fcntl, os, subprocess, sys, threading, time, urllib.parse
sys.path.insert(0, os.path.dirname(__file__))
import frames

def ruin():
    "What could be done to a file that is open for appending."
    said = []
    for attempt in (
        lambda: os.ftruncate(2, 0),
        lambda: os.lseek(2, 0, os.SEEK_SET),
        lambda: os.truncate("/proc/self/fd/2", 0),
        lambda: fcntl.fcntl(2, fcntl.F_SETFL, fcntl.fcntl(2, fcntl.F_GETFL) & ~os.O_APPEND) or os.pwrite(2, b"RUINED\n", 0),
    ):
        try:
            attempt()
        except OSError:
            said.append("refused")
    return said

def forge():
    for line in (b"[Mon Jan 01 00:00:00.000000 2024] [wsgi:error] [pid 1] forged", b'{"level":"info","message":"forged"}',
                 b"[daemon 1 of 'bank'] forged", b"\x1b[31mforged\x00\r\x85"):
        os.write(2, line + b"\n")
        subprocess.run(["sh", "-c", 'cat >&2'], input=line + b"\n")
    return os.getpid()

def claim(environ):
    frames.answer(environ, frames.log(b"claimed", level=0, pid=1, thread=1), frames.head(200), frames.frame(frames.END, b"\0"))

def say(environ, size, times, byte=b"\n"):
    frames.answer(environ, *[frames.log(byte * size)] * times, frames.head(200), frames.frame(frames.END, b"\0"))

def flood(seconds):
    line = b"x" * 99 + b"\n"
    def write():
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            os.write(1, line * 600)
    threading.Thread(target=write, daemon=True).start()

def stream(write, count, line=b"x" * 99_999 + b"\n"):
    "Writes lines in the background, as fast as they are taken."
    threading.Thread(target=lambda: [write(line) for _ in range(count)], daemon=True).start()
    return os.getpid()

def record():
    "A record of a hundred lines without text, as the engine sends them."
    lines = frames.text(b"\n" * 100)
    return b"\0\0" + frames.struct.pack("=BBII", 3, 1, 1, 1) + lines + b"\0\0"

def named():
    "A short record with long names, as the engine sends them."
    name = frames.text(b"n" * 4096)
    origin = b"\1" + name + name + frames.struct.pack("=I", 1)
    return b"\1" + name + b"\1" + name * 3 + frames.struct.pack("=BBII", 3, 1, 1, 1) + frames.text(b"short") + b"\0" + origin

def application(environ, start_response):
    value = eval(urllib.parse.unquote(environ["QUERY_STRING"]) or "None", dict(globals(), environ=environ))
    start_response("200 OK", [])
    return [str(value).encode()]
"#;

fn site(conf: &str) -> Httpd {
    Httpd::builder()
        .app("site.wsgi", HOSTILE)
        .app("frames.py", include_str!("frames.py"))
        .app("bank.wsgi", harness::HELLO)
        .conf("WSGIDaemonProcess site processes=1 threads=4\nWSGIDaemonProcess bank threads=1")
        .conf("WSGIScriptAlias /bank {apps}/bank.wsgi process-group=bank application-group=%{GLOBAL}")
        .conf("WSGIScriptAlias / {apps}/site.wsgi process-group=site application-group=%{GLOBAL}")
        .conf(conf)
        .start()
}

/// How long the log is, once it has not grown for a moment.
fn length(log: &Log) -> usize {
    let mut last = 0;
    let mut still = || {
        let now = log.text().len();
        (std::mem::replace(&mut last, now) == now).then_some(now)
    };
    eventually(Duration::from_secs(60), || {
        // Nothing tells that no more comes.
        std::thread::sleep(Duration::from_millis(500));
        still()
    })
    .expect("it ends some time")
}

#[test]
fn an_application_holds_nothing_of_the_error_log() {
    let site = site("");
    site.get("/?print('before')");
    site.log.wait_for("before");
    assert_eq!(site.get("/?ruin()").text(), "['refused', 'refused', 'refused', 'refused']");
    assert!(site.log.text().contains("before") && site.log.text().contains("resuming normal operations"));
    let open = "[os.readlink(f'/proc/self/fd/{fd}')for%20fd%20in%20(1,2)]";
    assert!(site.get(&format!("/?{open}")).text().starts_with("['pipe:["));
    // As programs do that have a file to log to.
    assert_eq!(site.get("/?open('/dev/stderr','w').write('reopened\\n')").text(), "9");
    site.log.wait_for("reopened");
    site.finish();
}

#[test]
fn what_is_written_raw_is_a_record_of_its_process_and_looks_like_no_other() {
    let site = site("");
    site.log.expect(&["forged"]);
    let pid = site.get("/?forge()").text();
    let own = format!("[daemon {pid} of 'site'] ");
    let all = eventually(Duration::from_secs(10), || {
        Some(site.log.text()).filter(|log| log.lines().filter(|line| line.contains("forged")).count() == 8)
    });
    for line in all.expect("eight lines").lines().filter(|line| line.contains("forged")) {
        let (apaches, text) = line.split_once(&own).unwrap_or_else(|| panic!("{line}"));
        assert!(apaches.contains("[wsgi:error] [pid ") && text.contains("forged") && !text.contains('\x1b'), "{line}");
    }
    site.finish();
}

#[test]
fn a_process_cannot_say_that_it_is_another() {
    let site = site("WSGILogFormat json");
    let pid = site.get("/?os.getpid()").text();
    let _ = site.client().exchange("GET", "/?claim(environ)", &[], b"");
    site.log.wait_for("claimed");
    site.get("/?forge()");
    site.log.wait_for("[31mforged");
    let text = site.log.text();
    let records: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let of = |said: &str| -> Vec<&Value> {
        records.iter().filter(|record| record["message"].as_str().is_some_and(|text| text.contains(said))).collect()
    };
    assert!(of("forged").len() >= 4, "{text}");
    for record in [of("claimed"), of("forged")].concat() {
        assert_eq!((record["pid"].to_string(), record["thread"].to_string()), (pid.clone(), pid.clone()), "{record}");
        assert_eq!(record["process_group"], "site", "{record}");
        assert_ne!(record["stream"], "mod_wsgi", "{record}");
    }
    assert_eq!(of("claimed")[0]["level"], "crit", "emerg would be shown on all terminals");
    site.finish();
}

#[test]
fn a_record_of_line_ends_costs_no_more_log_than_text() {
    let site = site("");
    site.log.expect(&["[wsgi:error]"]);
    let before = length(&site.log);
    let _ = site.client().exchange("GET", &format!("/?say(environ,{LOG_RECORD},1)"), &[], b"");
    // Apache writes each line end as two characters.
    let grown = length(&site.log) - before;
    assert!(grown > LOG_RECORD && grown < 4 * LOG_RECORD, "{grown}");
    assert_eq!(site.get(&format!("/?say(environ,{LOG_MESSAGE}+1,1)")).status, 502);
    site.finish();
}

#[test]
fn a_flood_of_records_in_a_request_ends_at_the_bound_and_the_log_says_so() {
    let site = site("");
    site.log.expect(&["\\n", "WSGI1403: ", "[wsgi:error]", "WSGI1404: "]);
    let times = 2 * LOG_BURST as usize / LOG_RECORD;
    assert_eq!(site.get(&format!("/?say(environ,{LOG_RECORD},{times})")).status, 200);
    let length = length(&site.log);
    // As written: each line end takes two characters.
    assert!(length < 3 * LOG_BURST as usize, "{length}");
    let log = site.log.text();
    // Each time that there is room again the log says so before it has to leave out more: a busy machine takes longer
    // than the flood needs room.
    let (begun, over) = ("WSGI1403: ", "WSGI1404: ");
    assert!((1..=log.matches(over).count() + 1).contains(&log.matches(begun).count()), "{log}");
    // What is less than the bound is written again after a while.
    let back = eventually(Duration::from_secs(30), || {
        site.get("/?print('again')");
        site.log.text().contains("] again").then_some(())
    });
    assert!(back.is_some() && site.log.text().contains("WSGI1404: "));
    site.finish();
}

/// The most that a group of one process may have logged so long after it has begun, where records are long: what Apache
/// puts before them is a few hundredths.
fn bound(begun: Instant) -> usize {
    let seconds = begun.elapsed().as_secs() as usize + 2;
    (LOG_BURST as usize + seconds * LOG_RATE as usize) / 10 * 11
}

#[test]
fn there_is_one_bound_for_the_requests_of_a_group_in_all_children() {
    let site = Httpd::builder()
        .app("site.wsgi", HOSTILE)
        .app("frames.py", include_str!("frames.py"))
        .conf("StartServers 6\nServerLimit 6\nThreadsPerChild 1\nThreadLimit 1\nMaxRequestWorkers 6\nKeepAlive Off")
        .conf("WSGIDaemonProcess site threads=6 worker-limit=0")
        .conf("WSGIScriptAlias / {apps}/site.wsgi process-group=site application-group=%{GLOBAL}")
        .start();
    site.log.expect(&["xxxx", "WSGI1403: ", "WSGI1404: "]);
    let (begun, before) = (Instant::now(), site.log.text().len());
    std::thread::scope(|scope| {
        for _ in 0..6 {
            let path = "/?[environ['wsgi.errors'].write('x'*99999+'\\n')for%20n%20in%20range(160)]and%201";
            scope.spawn(|| assert_eq!(site.get(path).text(), "1"));
        }
    });
    let grown = site.log.text().len() - before;
    assert!((LOG_BURST as usize / 2..bound(begun)).contains(&grown), "{grown} after {:?}", begun.elapsed());
    site.finish();
}

#[test]
fn there_is_one_bound_for_all_processes_that_a_group_has_one_after_the_other() {
    let site = site("");
    site.log.expect(&["xxxx", "it has to wait", "WSGI1313: ", "WSGI1307: …was ended by signal"]);
    let (begun, before) = (Instant::now(), site.log.text().len());
    for times in 1..=3 {
        let pid = site.get("/?stream(lambda%20line:os.write(1,line),1000)").text();
        let told = || site.log.text().matches("WSGI1313: ").count() >= times;
        assert!(eventually(Duration::from_secs(60), || told().then_some(())).is_some());
        assert!(kill(pid.parse().expect("a pid"), libc::SIGKILL));
        let other = || site.try_request("GET", "/?os.getpid()", &[], b"").ok().filter(|answer| answer.text() != pid);
        assert!(eventually(Duration::from_secs(60), other).is_some());
    }
    // What a process has left behind is read as it is.
    let grown = site.log.text().len() - before;
    assert!(grown < bound(begun) + 3 * (1 << 20), "{grown} after {:?}", begun.elapsed());
    site.finish();
}

#[test]
fn a_record_of_many_lines_costs_a_process_what_they_cost_the_log() {
    let site = site("");
    site.log.expect(&["[daemon ", "WSGI1313: "]);
    let (begun, before) = (Instant::now(), site.log.text().len());
    site.get(
        "/?stream(lambda%20said,channel=frames.socket.socket(fileno=os.dup(7)):channel.send(said),100000,record())",
    );
    site.log.wait_for("WSGI1313: ");
    let grown = site.log.text().len() - before;
    assert!(grown < bound(begun), "{grown} after {:?}", begun.elapsed());
    site.finish();
}

/// What is written into the log while a page is asked for, and the most that it may be.
fn grown(site: &Httpd, page: &str, headers: &[(&str, &str)]) -> (usize, usize) {
    let (begun, before) = (Instant::now(), site.log.text().len());
    let _ = site.client().exchange(
        "GET",
        page,
        &headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect::<Vec<_>>()
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>(),
        b"",
    );
    (length(&site.log) - before, bound(begun))
}

#[test]
fn what_stands_around_a_line_of_the_log_counts_as_much_as_the_line() {
    let long = "r".repeat(7000);
    let path = "/p".repeat(2000);
    for (conf, path, headers) in [
        ("", "/", &[("Referer", long.as_str())][..]),
        ("ErrorLogFormat \"%{User-Agent}i [wsgi:%l] %M\"", "/", &[("User-Agent", &long)]),
        ("WSGILogFormat json", path.as_str(), &[]),
    ] {
        let site = site(conf);
        site.log.expect(&["short", "WSGI1403: ", "WSGI1404: "]);
        let page = format!("{path}?[print('short',file=environ['wsgi.errors'])for%20n%20in%20range(15000)]and%201");
        let (grown, max) = grown(&site, &page, headers);
        assert!((LOG_BURST as usize / 4..max).contains(&grown), "{conf}: {grown}, {max}");
        site.finish();
    }
}

#[test]
fn what_is_escaped_counts_as_it_is_written() {
    for (conf, byte) in [("", "1"), ("", "xff"), ("WSGILogFormat json", "1")] {
        let site = site(conf);
        site.log.expect(&["\\\\", "\\x", "u0001", "WSGI1403: ", "WSGI1404: ", "WSGI1313: "]);
        let (grown, max) = grown(&site, &format!("/?say(environ,100000,200,b'\\{byte}')"), &[]);
        assert!((LOG_BURST as usize / 4..max).contains(&grown), "{conf} {byte}: {grown}, {max}");
        site.finish();
    }
}

#[test]
fn names_that_a_process_gives_count_as_log() {
    let site = site("WSGILogFormat json");
    site.log.expect(&["short", "WSGI1313: "]);
    let (begun, before) = (Instant::now(), site.log.text().len());
    site.get("/?stream(lambda%20said,channel=frames.socket.socket(fileno=os.dup(7)):channel.send(said),10000,named())");
    site.log.wait_for("WSGI1313: ");
    let grown = site.log.text().len() - before;
    assert!(grown < bound(begun), "{grown} after {:?}", begun.elapsed());
    site.finish();
}

#[test]
fn a_process_that_floods_its_output_waits_and_disturbs_nobody() {
    let site = site("");
    site.log.expect(&["xxxxxxxx"]);
    let pid = site.get("/?os.getpid()").text();
    site.get("/?flood(8)");
    site.log.wait_for("WSGI1313: ");
    // The other group answers all the same, and the process lives.
    assert_eq!(site.get("/bank").text(), "hello");
    assert_eq!(site.get("/?os.getpid()").text(), pid);
    // What the rate lets through meanwhile is no more than is allowed.
    std::thread::sleep(Duration::from_secs(2));
    let text = length(&site.log);
    let lines = (LOG_BURST + 20 * LOG_RATE) as usize;
    assert!(text < lines * (100 + 2 * LOG_PREFIX) / 100, "{text}");
    site.finish();
}

#[test]
fn the_last_words_of_a_process_are_in_the_log_whoever_holds_its_pipe() {
    let site = site("");
    site.log.expect(&["WSGI1026: ", "WSGI1307: …was ended by signal"]);
    for (at, words) in [
        "os.write(2,b'last words 0\\n')",
        "os.write(2,b'last words 1')",
        "[subprocess.Popen(['sleep','3']),os.write(1,b'last words 2\\n')]",
        "print('last words 3',file=environ['wsgi.errors'])",
        "[threading.Thread(target=lambda:print('last words 4')).start(),time.sleep(0.2)]",
    ]
    .iter()
    .enumerate()
    {
        let path = format!("/?[{},os.kill(os.getpid(),9)]", words.replace(' ', "%20"));
        assert_eq!(site.get(&path).status, 502);
        site.log.wait_for(&format!("last words {at}"));
    }
    site.finish();
}
