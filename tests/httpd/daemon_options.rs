//! Options of `WSGIDaemonProcess` that an application can see.

use harness::{Httpd, ORDINARY_USER, PROBE, Site, as_user, cannot_run, eventually, is_root};
use serde_json::json;
use std::time::Duration;

#[test]
fn python_path_is_searched_for_modules() {
    let site = Httpd::site("python-path={root}/lib:{root}/more", &format!("import here, there\n{PROBE}"))
        .file("lib/here.py", "place = 'lib'\n")
        .file("more/there.py", "place = 'more'\n")
        .start();
    assert_eq!(site.ask("[here.place, there.place]"), json!(["lib", "more"]));
    site.finish();
}

#[test]
fn home_is_the_current_directory_and_searched_first() {
    let site = Httpd::site("home={root}/home", &format!("import at_home\n{PROBE}")).file("home/at_home.py", "").start();
    let home = site.root().join("home").display().to_string();
    assert_eq!(site.ask("[os.getcwd(), __import__('sys').path[0]]"), json!([home, home]));
    site.finish();
}

#[test]
fn without_home_the_current_directory_is_apaches_own_whoever_the_process_is() {
    for user in ["", "user=daemon"] {
        if !user.is_empty() && !is_root() {
            return cannot_run(
                "without_home_the_current_directory_is_apaches_own_whoever_the_process_is",
                "only root can switch users",
            );
        }
        let site = Httpd::probe(user);
        let parent = site.census().first().expect("the parent").pid;
        let directory = std::fs::read_link(format!("/proc/{parent}/cwd")).expect("its directory");
        assert_eq!(site.ask("os.getcwd()"), json!(directory.display().to_string()), "{user}");
        site.finish();
    }
}

#[test]
fn user_and_group_are_the_process_own() {
    if !is_root() {
        return cannot_run("user_and_group_are_the_process_own", "only root can switch users");
    }
    // nobody has no home directory on most systems, so the group names one
    let site = Httpd::probe("user=nobody group=nogroup home=/");
    let whole = "[__import__('pwd').getpwuid(os.getuid()).pw_name, __import__('grp').getgrgid(os.getgid()).gr_name]";
    assert_eq!(site.ask(whole), json!(["nobody", "nogroup"]));
    assert_eq!(
        site.ask("[os.getuid() == os.geteuid(), os.getgid() == os.getegid(), 0 in os.getgroups()]"),
        json!([true, true, false])
    );
    site.finish();
}

#[test]
fn without_a_user_the_daemon_is_apaches_own_user() {
    if !is_root() {
        return cannot_run("without_a_user_the_daemon_is_apaches_own_user", "only root can switch users");
    }
    let site = Httpd::probe("");
    assert_eq!(site.ask("__import__('pwd').getpwuid(os.getuid()).pw_name"), ORDINARY_USER);
    site.finish();
}

#[test]
fn an_ordinary_user_runs_apache_and_daemons() {
    let site = Httpd::site("processes=2", PROBE).as_user(ORDINARY_USER).start();
    let me = as_user(Some(ORDINARY_USER), "id").arg("-u").output().expect("id runs");
    let uid: u32 = String::from_utf8_lossy(&me.stdout).trim().parse().expect("a number");
    assert_eq!(site.ask("[os.getuid(), os.geteuid()]"), json!([uid, uid]));
    site.finish();
}

#[test]
fn umask_is_set() {
    let site = Httpd::probe("umask=0027");
    assert_eq!(site.ask("os.umask(0o27)"), 0o27);
    site.finish();
}

#[test]
fn lang_and_locale_are_in_the_environment_before_python_starts() {
    let site = Httpd::builder()
        .conf("WSGIDaemonProcess lang lang=C.UTF-8\nWSGIDaemonProcess locale locale=C.UTF-8")
        .conf("WSGIScriptAlias /lang {apps}/probe.wsgi process-group=lang")
        .conf("WSGIScriptAlias /locale {apps}/probe.wsgi process-group=locale")
        .app("probe.wsgi", PROBE)
        .env("LANG", "C")
        .start();
    assert_eq!(
        site.ask_at("/lang", "[os.environ.get('LANG'), __import__('sys').getfilesystemencoding()]"),
        json!(["C.UTF-8", "utf-8"])
    );
    assert_eq!(site.ask_at("/locale", "os.environ.get('LC_ALL')"), "C.UTF-8");
    site.finish();
}

#[test]
fn display_name_is_what_ps_shows() {
    let site = Httpd::builder()
        .conf("WSGIDaemonProcess site display-name=%{GROUP}\nWSGIScriptAlias / {apps}/probe.wsgi process-group=site")
        .app("probe.wsgi", PROBE)
        .start();
    let shown = site.ask("open('/proc/self/cmdline').read()");
    assert!(shown.as_str().is_some_and(|words| words.starts_with("(wsgi:site)")), "{shown}");
    site.finish();
}

#[test]
fn threads_serve_at_the_same_time() {
    // Each request waits for the two others: with fewer threads the barrier would break.
    let site = Httpd::site("threads=3", &format!("{PROBE}\nmeeting = threading.Barrier(3, timeout=20)\n")).start();
    let port = site.port();
    let guests: Vec<_> = (0..3)
        .map(|_| {
            std::thread::spawn(move || {
                let mut client = harness::Client::connect(port);
                client.exchange("GET", "/?meeting.wait()>=0", &[], b"").expect("an answer").status
            })
        })
        .collect();
    assert_eq!(guests.into_iter().map(|guest| guest.join().expect("a thread")).collect::<Vec<_>>(), [200, 200, 200]);
    site.finish();
}

#[test]
fn processes_share_the_work() {
    let site = Httpd::probe("processes=3 threads=1");
    let mut seen = std::collections::HashSet::new();
    let busy = harness::Load::start(&site, "/?time.sleep(0.01)%20or%20os.getpid()", 6);
    let all = eventually(Duration::from_secs(20), || {
        seen.insert(site.ask("os.getpid()").as_u64());
        (seen.len() == 3).then_some(())
    });
    assert!(busy.stop().iter().all(harness::Outcome::is_success));
    assert!(all.is_some(), "{seen:?}");
    site.finish();
}

#[test]
fn the_daemon_has_none_of_apaches_listening_sockets() {
    let sockets = r#"
def listening(port):
    rows = [line.split() for line in open("/proc/net/tcp")]
    return ["socket:[%s]" % row[9] for row in rows if row[1].endswith(":%04X" % port) and row[3] == "0A"]

def held():
    for name in os.listdir("/proc/self/fd"):
        try:
            yield os.readlink("/proc/self/fd/" + name)
        except FileNotFoundError:  # the one that listed the directory
            pass
"#;
    let site = Httpd::site("", &format!("{PROBE}{sockets}")).start();
    let port = site.port();
    assert_eq!(site.ask(&format!("len(listening({port}))")), 1, "Apache listens");
    assert_eq!(
        site.ask(&format!("set(held()) & set(listening({port})) == set()")),
        true,
        "{}",
        site.ask("list(held())")
    );
    site.finish();
}

#[test]
fn variables_of_the_configuration_are_in_the_environment_before_python_starts() {
    let site = Httpd::probe("env=PYTHONUTF8=1 env=\"GREETING=hello there\" env=EQUATION=a=b");
    let seen = "[os.environ['GREETING'], os.environ['EQUATION'], sys.flags.utf8_mode]";
    assert_eq!(site.ask(seen), json!(["hello there", "a=b", 1]));
    site.finish();
}

#[test]
fn the_values_of_an_env_file_reach_the_daemons_and_nobody_else() {
    let site = Httpd::site("env-file={root}/secrets threads=2", PROBE)
        .file("secrets", "# what only the application knows\nTOKEN='first half, ''second half'\nexportless=1\n");
    let site = site.start();
    // The value itself would travel through Apache.
    let known = "__import__('hashlib').sha256(os.environ['TOKEN'].encode()).hexdigest()[:16]";
    assert_eq!(site.ask(known), "8b4756ee83690206");
    let daemon = site.ask("os.getpid()");
    for pid in site.processes() {
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        assert!(!line.contains("half"), "{line}");
        if json!(pid) != daemon && is_root() {
            let environ = std::fs::read_to_string(format!("/proc/{pid}/environ")).unwrap_or_default();
            assert!(!environ.contains("half"), "{environ}");
            assert!(line.contains("supervisor") || !memory_holds(pid, "second half"), "{line} has it in its memory");
        }
    }
    assert!(!site.log.text().contains("half"));
    site.finish();
}

/// Whether the writable memory of a process has this text in it.
fn memory_holds(pid: u32, text: &str) -> bool {
    let search = r#"
import sys
pid, text = sys.argv[1], sys.argv[2].encode()
with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
    for area in (line.split()[0].split("-") for line in maps if " rw" in line):
        start, end = (int(border, 16) for border in area)
        memory.seek(start)
        try:
            if text in memory.read(end - start):
                sys.exit(9)
        except OSError:  # not really there
            pass
"#;
    let mut python = std::process::Command::new(harness::product().python("sys.executable"));
    python.args(["-c", search, &pid.to_string(), text]).status().expect("Python runs").code() == Some(9)
}

#[test]
fn mistakes_in_variables_are_errors_of_the_configuration() {
    let check = |options: &str, file: &str| {
        let builder = Httpd::builder().file("secrets", file).conf(&format!("WSGIDaemonProcess site {options}"));
        let (accepted, text) = builder.check();
        assert!(!accepted, "{options}: {text}");
        text
    };
    assert!(check("env=PYTHONHOME=/usr", "").contains("use python-home"));
    assert!(check("env=1=secret", "").contains("letters, digits"));
    assert!(!check("env=1=secret", "").contains("secret"));
    let text = check("env-file={root}/secrets", "A=1\n\nsecret\n");
    assert!(text.contains("secrets`: line 3:") && !text.contains("`secret`"), "{text}");
    assert!(check("env-file={root}/nothing", "").contains("No such file"));
    assert!(check("rss-limit=lots", "").contains("512M"));
    assert!(check("queue-size=-1", "").contains("whole number"));
}

#[test]
fn an_env_file_that_everybody_may_write_to_is_refused() {
    let scratch = harness::Scratch::new();
    scratch.write("secrets", "A=1\n");
    let file = scratch.path().join("secrets");
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o666)).expect("changed");
    let (accepted, text) =
        Httpd::builder().conf(&format!("WSGIDaemonProcess site env-file={}", file.display())).check();
    assert!(!accepted && text.contains("chmod o-w"), "{text}");
}
