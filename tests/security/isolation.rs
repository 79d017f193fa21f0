//! No daemon reaches another group, Apache or root: descriptors, memory, secrets, signals, capabilities.

use harness::{Httpd, PROBE, Role, Scratch, Site, eventually, is_root, product, run};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const ANSWER_WAIT: Duration = Duration::from_secs(30);

/// Two groups, of two users where that is possible. `/bank` is the victim's, `/news` the attacker's.
fn two_groups(bank: &str, news: &str) -> harness::Builder {
    let [games, paper] = if is_root() { ["user=games", "user=news"] } else { ["", ""] };
    Httpd::builder().app("bank.wsgi", PROBE).app("news.wsgi", PROBE).conf(&format!(
        "WSGIDaemonProcess bank {games} {bank}\nWSGIDaemonProcess news {paper} {news}\n\
         WSGIScriptAlias /bank {{apps}}/bank.wsgi process-group=bank application-group=%{{GLOBAL}}\n\
         WSGIScriptAlias /news {{apps}}/news.wsgi process-group=news application-group=%{{GLOBAL}}"
    ))
}

/// The memory files that a process has open or mapped: name and number.
fn memory_files(pid: u32) -> BTreeSet<(String, u64)> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
        let (Ok(target), Ok(file)) = (fs::read_link(entry.path()), fs::metadata(entry.path())) else { continue };
        if let Some(name) = target.to_string_lossy().strip_prefix("/memfd:") {
            found.insert((name.trim_end_matches(" (deleted)").to_owned(), file.ino()));
        }
    }
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    for line in maps.lines().filter(|line| line.contains("/memfd:")) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let name = fields[5].trim_start_matches("/memfd:");
        found.insert((name.to_owned(), fields[4].parse().expect("an inode")));
    }
    found
}

/// The group's environment belongs to its user, who looks around as soon as Python starts: long before the engine could
/// close anything.
const SPY: &str = "import os, stat\n\
    found = []\n\
    for name in os.listdir('/proc/self/fd'):\n    \
        try:\n        \
            found.append(f\"{name} {os.readlink('/proc/self/fd/' + name)} {os.fstat(int(name)).st_ino}\")\n    \
        except OSError:\n        \
            pass\n\
    found += [' '.join(line.split()[:2] + line.split()[4:6]) for line in open('/proc/self/maps') if 'memfd:' in line]\n\
    with open('{root}/seen/' + str(os.getpid()), 'w') as file:\n    \
        file.write('\\n'.join(found))\n";

#[test]
fn nothing_of_another_group_is_open_in_a_daemon_at_any_moment() {
    let scratch = Scratch::new();
    let seen = scratch.directory("seen");
    fs::set_permissions(&seen, fs::Permissions::from_mode(0o777)).expect("a directory for all");
    let home = environment_that_begins_with(&scratch, &SPY.replace("{root}", &scratch.path().display().to_string()));

    let options = format!("processes=2 python-home={}", home.display());
    let (mut server, done) = (None, AtomicBool::new(false));
    let end = Instant::now() + ANSWER_WAIT;
    let sampled = std::thread::scope(|scope| {
        // From outside too, in the moments before Python runs anything.
        let sampler = scope.spawn(|| {
            let mut sampled = BTreeSet::new();
            while !done.load(Ordering::Relaxed) && Instant::now() < end {
                let pids = fs::read_dir("/proc").expect("/proc").flatten();
                let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
                for pid in pids.filter(|pid| is_python_of(*pid, &home)) {
                    sampled.extend(memory_files(pid).into_iter().map(|file| (pid, file)));
                }
            }
            sampled
        });
        let site = two_groups(&options, &format!("{options} server-metrics=On")).start();
        for group in ["/bank", "/news"] {
            assert_eq!(ask(&site, group, "1"), 1);
        }
        let all = eventually(ANSWER_WAIT, || (seen.read_dir().ok()?.count() >= 4).then_some(()));
        done.store(true, Ordering::Relaxed);
        assert!(all.is_some(), "no process has told");
        server = Some(site);
        sampler.join().expect("no panic")
    });
    let site = server.expect("it has started");
    let mut pages = Vec::new();
    for group in ["/bank", "/news"] {
        let pid = ask(&site, group, "os.getpid()").as_u64().expect("a number") as u32;
        let told = fs::read_to_string(seen.join(pid.to_string())).expect("what it has seen");
        let files: Vec<&str> = told.lines().filter(|line| line.contains("memfd:")).collect();
        let names: Vec<&str> = files.iter().filter_map(|line| line.split_whitespace().nth(1)).collect();
        let board = if group == "/news" { &["/memfd:mod_wsgi-scoreboard"][..] } else { &[] };
        let expected = [&["/memfd:mod_wsgi-pages", "/memfd:wsgi-recorder"], board].concat();
        assert_eq!(BTreeSet::from_iter(names), BTreeSet::from_iter(expected), "{told}");
        pages.push(
            files
                .iter()
                .find(|line| line.contains("pages"))
                .and_then(|line| line.rsplit(' ').next())
                .map(str::to_owned),
        );
    }
    assert_ne!(pages[0], pages[1], "each group has pages of its own");
    for (pid, (name, _)) in sampled {
        assert!(!name.contains("table"), "the process table was in the daemon process {pid}");
    }
    site.finish();
}

/// A virtual environment whose interpreters run this as soon as they start.
fn environment_that_begins_with(scratch: &Scratch, module: &str) -> PathBuf {
    let home = scratch.path().join("venv");
    let made = run(
        Command::new(product().python("sys.executable")).args(["-m", "venv", "--without-pip"]).arg(&home),
        scratch.path(),
    );
    assert_eq!(made.code, Some(0), "{made:?}");
    let packages = fs::read_dir(home.join("lib")).expect("lib").flatten().next().expect("python3.N").path();
    fs::write(packages.join("site-packages/begin.py"), module).expect("a file");
    fs::write(packages.join("site-packages/begin.pth"), "import begin\n").expect("a file");
    home
}

/// Whether the process has begun to be a Python of this environment.
fn is_python_of(pid: u32, home: &Path) -> bool {
    let read = |file: &str| fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    String::from_utf8_lossy(&read("cmdline")).starts_with(&*home.join("bin").to_string_lossy())
}

/// The JSON value of a Python expression in the application at this path.
fn ask(site: &Httpd, path: &str, expression: &str) -> Value {
    let quoted: String = expression.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let answer = site.get(&format!("{path}?{quoted}"));
    assert_eq!(answer.status, 200, "{expression}: {answer:?}");
    serde_json::from_slice(&answer.body).expect("JSON")
}

#[test]
fn memory_files_are_their_owners_alone_and_what_daemons_read_they_cannot_write() {
    let site = two_groups("", "server-metrics=On").start();
    assert_eq!(ask(&site, "/bank", "1"), 1);
    let news = ask(&site, "/news", "os.getpid()").as_u64().expect("a number") as u32;
    for member in site.census().iter().filter(|member| member.role != Role::Other) {
        for entry in fs::read_dir(format!("/proc/{}/fd", member.pid)).expect("descriptors").flatten() {
            let (Ok(target), Ok(file)) = (fs::read_link(entry.path()), fs::metadata(entry.path())) else { continue };
            if target.to_string_lossy().starts_with("/memfd:") {
                assert_eq!(file.mode() & 0o7777, 0o600, "{}", target.display());
            }
        }
    }
    // While Python starts it has the descriptor; it is mapped for good.
    let maps = fs::read_to_string(format!("/proc/{news}/maps")).expect("maps");
    let board = maps.lines().find(|line| line.contains("mod_wsgi-scoreboard")).expect("server-metrics=On maps it");
    assert!(board.split_whitespace().nth(1).is_some_and(|mode| mode.starts_with("r--")), "{board}");
    let protect = "(lambda c, at: c.CDLL(None, use_errno=True).mprotect(c.c_void_p(at), 4096, 3))\
        (__import__('ctypes'), int(next(l for l in open('/proc/self/maps') if 'scoreboard' in l).split('-')[0], 16))";
    assert_eq!(ask(&site, "/news", protect), -1, "the board must not become writable");
    site.finish();
}

/// Makes the supervisor start another process of one's own group, takes what that is started with (pidfd_getfd), and
/// writes nonsense into all of it.
const VANDAL: &str = r#"
import ctypes, glob, os, signal, time

libc = ctypes.CDLL(None, use_errno=True)

def theirs():
    for directory in glob.glob("/proc/[0-9]*"):
        try:
            pid = int(directory[6:])
            parent = int(open(directory + "/stat").read().rpartition(") ")[2].split()[1])
            if parent == os.getppid() and os.stat(directory).st_uid == os.getuid() and pid != os.getpid():
                yield pid, os.pidfd_open(pid)
        except OSError:
            pass

def application(environ, start_response):
    written, byte, end = 0, int(environ["QUERY_STRING"]), time.time() + 3
    os.kill(os.getpid(), signal.SIGUSR1)
    while time.time() < end:
        for pid, handle in theirs():
            for number in range(3, 10):
                fd = libc.syscall(438, handle, number, 0)
                if fd < 0:
                    continue
                try:
                    if "mod_wsgi" in os.readlink(f"/proc/self/fd/{fd}"):
                        written += os.pwrite(fd, bytes([byte]) * os.fstat(fd).st_size, 0)
                except OSError:
                    pass
                os.close(fd)
            os.close(handle)
    start_response("200 OK", [])
    return [str(written).encode()]
"#;

#[test]
fn a_group_that_writes_into_all_it_can_harms_no_other() {
    let scratch = Scratch::new();
    // A process that starts is there long enough to be taken from, however fast the machine is.
    let home = environment_that_begins_with(&scratch, "import time\ntime.sleep(0.3)\n");
    let news = format!("threads=2 processes=2 python-home={}", home.display());
    for byte in ["255", "3", "0"] {
        let site = two_groups("threads=2", &news).app("news.wsgi", VANDAL).start();
        std::thread::scope(|scope| {
            let vandal = scope.spawn(|| site.try_request("GET", &format!("/news?{byte}"), &[], b""));
            while !vandal.is_finished() {
                assert_eq!(ask(&site, "/bank", "os.getuid()"), bank_user());
            }
            // It takes itself off line at the latest now; before, it must have done what this is about.
            let written = vandal.join().expect("no panic").map(|answer| answer.text());
            assert!(written.as_ref().is_ok_and(|written| written != "0"), "{written:?}");
        });
        assert_eq!(ask(&site, "/bank", "os.getuid()"), bank_user());
        site.finish();
    }
}

#[test]
fn no_program_that_a_daemon_runs_has_rights_that_the_daemon_has_not() {
    let site = two_groups("", "no-new-privileges=Off").start();
    let told = |path: &str, name: &str| {
        let line = format!("next(l.split()[1] for l in open('/proc/self/status') if l.startswith('{name}:'))");
        ask(&site, path, &line).as_str().expect("text").trim_start_matches('0').to_owned()
    };
    assert_eq!((told("/bank", "NoNewPrivs"), told("/news", "NoNewPrivs")), ("1".to_owned(), String::new()));
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!((told("/bank", set), told("/news", set)), (String::new(), String::new()), "{set}");
    }
    if is_root() {
        assert_eq!(told("/bank", "CapBnd"), "");
        assert_ne!(told("/news", "CapBnd"), "", "a set-group-id program such as sendmail may do what it needs");
    }
    site.finish();
}

#[test]
fn no_daemon_has_the_terminal_that_apache_was_started_from() {
    let site = two_groups("", "").at_a_terminal().start();
    let stat = "lambda pid: open(f'/proc/{pid}/stat').read().rsplit(')', 1)[1].split()";
    let terminals = "[stat(pid)[4] for pid in (os.getpid(), os.getppid(), stat(os.getppid())[1])]";
    let told = ask(&site, "/news", &format!("(lambda stat: {terminals})({stat})"));
    assert_ne!(told[2], "0", "Apache has one");
    assert!(told[0] == "0" && told[1] == "0", "the daemon and the supervisor have none: {told}");
    site.finish();
}

#[test]
fn a_daemons_environment_is_what_its_group_says() {
    let builder = two_groups("env=OWN=1", "pass-env=ASKED_FOR");
    let site =
        builder.env("ROOTS_SECRET", "x").env("NOTIFY_SOCKET", "/x").env("ASKED_FOR", "2").env("TZ", "UTC").start();
    let names = "[os.environ.get(n) for n in ('ROOTS_SECRET', 'NOTIFY_SOCKET', 'ASKED_FOR', 'OWN', 'TZ')]";
    assert_eq!(ask(&site, "/bank", names), serde_json::json!([null, null, null, "1", "UTC"]));
    assert_eq!(ask(&site, "/news", names), serde_json::json!([null, null, "2", null, "UTC"]));
    let initial = "open('/proc/self/environ').read()";
    assert!(!ask(&site, "/bank", initial).to_string().contains("SECRET"));
    site.finish();
}

/// A process that says that it is there and goes, or what nobody understands, again and again, in one stroke or two.
const RESTLESS: &str = "import os, signal, struct, time\n\
    def say(*kinds):\n    \
        os.write(3, b''.join(struct.pack('=IBBH', len(p), k, 0, 0) + p for k, p in kinds))\n\
    ready, draining = (48, struct.pack('=IB', 0, 0)), (49, bytes([6]))\n";

#[test]
fn a_group_whose_processes_leave_at_once_gets_few_of_them() {
    for script in [
        "say(ready, draining)\n",
        "say(ready)\ntime.sleep(0.05)\nsay(draining)\n",
        "say(ready)\ntime.sleep(0.05)\nsay((50, bytes([6, 0])))\n",
        "say(ready)\ntime.sleep(0.05)\nos.write(3, bytes([255]) * 64)\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n",
    ] {
        let flood = format!("{RESTLESS}{script}time.sleep(27)\n");
        let site = two_groups("", "")
            .app("flood.py", &flood)
            .conf("WSGIImportScript {apps}/flood.py process-group=news application-group=%{GLOBAL}")
            .start();
        site.log.expect(&["WSGI1305: ", "WSGI1306: ", "WSGI1307: ", "WSGI1310: "]);
        let end = Instant::now() + Duration::from_secs(5);
        while Instant::now() < end {
            let daemons = site.census().iter().filter(|member| member.role == Role::Daemon).count();
            assert!(daemons <= 1 + 3, "{daemons} daemon processes for two groups of one process");
            assert_eq!(ask(&site, "/bank", "1"), 1);
        }
        site.finish();
    }
}

/// The number of the user of the group `bank`.
fn bank_user() -> u32 {
    let name = if is_root() { "games" } else { return fs::metadata("/proc/self").expect("/proc").uid() };
    let users = fs::read_to_string("/etc/passwd").expect("users");
    let line = users.lines().find(|line| line.starts_with(&format!("{name}:"))).expect("a known user");
    line.split(':').nth(2).and_then(|number| number.parse().ok()).expect("a number")
}

/// Speaks to the supervisor over whatever socket may lead to it: of a pair, which has no names.
const PARENT: &str = r#"
import os, socket, stat, struct

def application(environ, start_response):
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            if not stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                continue
            candidate = socket.socket(fileno=os.dup(int(name)))
            names = candidate.getsockname(), candidate.getpeername()
            if candidate.family == socket.AF_UNIX and candidate.type == socket.SOCK_STREAM and not any(names):
                found.append(name)
                candidate.sendall(struct.pack("=IBBH", 0, 32, 0, 0))
        except OSError:
            pass
    start_response("200 OK", [])
    return [repr((os.getuid(), found)).encode()]
"#;

#[test]
fn what_runs_in_the_only_process_of_apache_tells_the_supervisor_nothing() {
    for mpm in [harness::Mpm::Event, harness::Mpm::Prefork] {
        let mut site = Httpd::builder()
            .app("bank.wsgi", PROBE)
            .app("parent.wsgi", PARENT)
            .conf(
                "WSGIDaemonProcess bank\nWSGIScriptAlias /bank {apps}/bank.wsgi process-group=bank\nWSGIScriptAlias / {apps}/parent.wsgi",
            )
            .mpm(mpm)
            .in_one_process()
            .start();
        site.log.expect(&["WSGI1325: "]);
        assert_eq!(site.get("/bank?1").status, 200);
        assert!(!site.get("/").text().ends_with("[])"), "it has found no socket: the test shows nothing");
        site.log.wait_for("WSGI1325: ");
        let _ = site.stop();
        let _ = fs::remove_file(site.root().join("run/httpd.pid"));
        site.finish();
    }
}
