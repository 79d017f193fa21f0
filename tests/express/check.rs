//! `check`: what would keep an application, or a configuration of Apache, from running well, each on one line with its
//! cure.

use harness::{Express, Finished, HELLO, ORDINARY_USER, Scratch, cannot_run, is_root, product};
use std::net::TcpListener;

fn directory() -> Scratch {
    let directory = Scratch::new();
    directory.write("hello.wsgi", HELLO);
    directory
}

fn check(directory: &Scratch, words: &[&str]) -> Finished {
    let words: Vec<_> = std::iter::once("check").chain(words.iter().copied()).collect();
    Express::new(&words).within(directory.path()).with_place().run()
}

/// One line that begins with this and has all of these.
#[track_caller]
fn says(done: &Finished, begin: &str, named: &[&str]) {
    let is_it = |line: &&str| line.starts_with(begin) && named.iter().all(|name| line.contains(name));
    assert_eq!(done.text.lines().filter(is_it).count(), 1, "{begin} {named:?}: {}", done.text);
}

#[test]
fn an_application_that_will_run_has_no_findings_and_leaves_nothing_behind() {
    let directory = directory();
    let root = directory.path().join("root").display().to_string();
    let mut words = vec!["check", "hello.wsgi", "--server-root", &root];
    if is_root() {
        words.extend(["--user", ORDINARY_USER, "--group", ORDINARY_USER]);
    }
    let done = Express::new(&words).within(directory.path()).run();
    assert!(done.code == Some(0) && done.text.contains("hello.wsgi: 0 errors"), "{done:?}");
    assert!(!directory.path().join("root").exists(), "nothing was made");
}

#[test]
fn each_mistake_is_one_line_with_its_cure() {
    let directory = directory();
    directory.directory("static");
    let taken = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let words = ["check", "hello.wsgi", "--callable-object", "app", "--url-alias", "/media", "media"];
    let done = Express::new(&words).within(directory.path()).on_port(port).with_place().run();
    assert_eq!(done.code, Some(1), "{done:?}");
    says(&done, "error: ", &["hello.wsgi has no callable app, but application", "--callable-object application"]);
    says(&done, "error: ", &[&format!("port {port} is already in use"), "--port"]);
    says(&done, "warning: ", &["media, the target of --url-alias /media, does not exist"]);
    says(&done, "hello.wsgi: 2 errors, 1 warning", &[]);
}

#[test]
fn what_apache_would_refuse_is_found() {
    let directory = directory();
    directory.write("extra.conf", "TraceEnable Off\nLisen 80\n");
    let done = check(&directory, &["hello.wsgi", "--include-file", "extra.conf"]);
    assert_eq!(done.code, Some(1), "{done:?}");
    let extra = directory.path().join("extra.conf").display().to_string();
    says(&done, "error: Apache refuses its configuration: ", &[&format!("line 2 of {extra}"), "'Lisen'"]);
}

#[test]
fn an_application_is_loaded_as_its_user_in_a_process_of_its_own() {
    if !is_root() {
        return cannot_run(
            "an_application_is_loaded_as_its_user_in_a_process_of_its_own",
            "only root can switch users",
        );
    }
    let directory = directory();
    let script =
        "import os, pwd\nraise RuntimeError(pwd.getpwuid(os.getuid()).pw_name + ' \\x1b[1m in ' + os.getcwd())\n";
    directory.write("who.wsgi", format!("# the third\n{script}"));
    directory.write("static/secret.css", "");
    directory.set_mode("static/secret.css", 0o600);
    let done = check(&directory, &["who.wsgi", "--url-alias", "/static", "static"]);
    let me = format!("{ORDINARY_USER} ?[1m in {}", directory.path().display());
    says(&done, "error: ", &["cannot be loaded: RuntimeError", &me, "who.wsgi:3"]);
    says(&done, "error: ", &[ORDINARY_USER, "may not read", "static/secret.css denies it; chmod"]);
    let root = Express::new(&["check", "who.wsgi"]).within(directory.path()).run();
    assert!(
        root.text.contains("--user") && !root.text.contains("RuntimeError"),
        "nothing of it runs as root: {root:?}"
    );
}

#[test]
fn a_module_that_is_missing_is_told_with_what_brings_it() {
    let directory = directory();
    directory.write("one.wsgi", "import yaml_of_nobody\n");
    directory.write("two.wsgi", "import colours\n");
    directory.write("src/colours.py", "");
    let python = product().program("python").display().to_string();
    says(
        &check(&directory, &["one.wsgi"]),
        "error: ",
        &["yaml_of_nobody", &format!("{python} -m pip install yaml_of_nobody")],
    );
    let place = format!("--python-path {}/src", directory.path().display());
    says(&check(&directory, &["two.wsgi"]), "error: ", &["No module named 'colours'", &place]);
    // The start says the same below the traceback.
    directory.write("shop.py", "import colours\n");
    let start = Express::new(&["start-server", "shop:app"]).within(directory.path()).with_place().run();
    assert!(start.code == Some(1) && start.text.contains("Traceback") && start.text.contains(&place), "{start:?}");
}

#[test]
fn what_is_no_wsgi_application_is_recognised() {
    let directory = directory();
    directory.write("later.py", "async def application(scope, receive, send): pass\n");
    directory.write("factory.py", "def application(settings=None): pass\n");
    directory.write(
        "kind.py",
        "class Application:\n    def __call__(self, environ, start_response): pass\napplication = Application()\n",
    );
    let wsgi = &["later:application", "--interface", "wsgi"];
    says(&check(&directory, wsgi), "error: ", &["is an ASGI application", "--interface asgi", "a2wsgi"]);
    says(&check(&directory, &["factory:application"]), "error: ", &["does not take two arguments", "application()"]);
    assert_eq!(check(&directory, &["kind:application"]).code, Some(0));
}

#[test]
fn what_django_says_of_a_deployment_is_among_the_findings() {
    let directory = directory();
    directory.write(
        "site.wsgi",
        "from django.conf import settings\nsettings.configure(DEBUG=True, ROOT_URLCONF='urls', SECRET_KEY='x', INSTALLED_APPS=['django.contrib.contenttypes', 'django.contrib.auth'],\n    DATABASES={'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': 'nothing.sqlite3'}})\nfrom django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n",
    );
    directory.write("urls.py", "urlpatterns = []\n");
    let done = check(&directory, &["site.wsgi"]);
    says(&done, "warning: ", &["security.W018", "DEBUG"]);
    says(&done, "warning: ", &["migrations", "migrate"]);
    assert!(done.code == Some(0) && !directory.path().join("nothing.sqlite3").exists(), "{done:?}");
}

#[test]
fn findings_are_json_where_that_is_asked_for() {
    let directory = directory();
    let done = check(&directory, &["missing.wsgi", "--format", "json"]);
    let report: serde_json::Value = serde_json::from_str(&done.text).expect("JSON");
    assert_eq!((&report["ok"], done.code), (&false.into(), Some(1)), "{report}");
    assert_eq!(report["findings"][0]["check"], "entry", "{report}");
    let good = check(&directory, &["hello.wsgi", "--format", "json"]);
    let report: serde_json::Value = serde_json::from_str(&good.text).expect("JSON");
    assert!(report["ok"] == true && good.code == Some(0), "{report}");
}

/// A configuration of an Apache with these lines of ours.
fn configuration(directory: &Scratch, lines: &str) -> String {
    let mut conf = format!(
        "ServerName localhost\nListen 127.0.0.1:1\nPidFile {0}/pid\nErrorLog {0}/log\n",
        directory.path().display()
    );
    for name in ["mpm_event", "authz_core"] {
        if let Some(file) = harness::module(name) {
            conf += &format!("LoadModule {name}_module {}\n", file.display());
        }
    }
    conf += product().module_config();
    directory.write("httpd.conf", conf + lines).display().to_string()
}

#[test]
fn a_configuration_of_apache_is_checked_for_what_its_syntax_does_not_tell() {
    let directory = directory();
    directory.write("private/hello.wsgi", HELLO);
    directory.set_mode("private", 0o700);
    let place = directory.path().display();
    let lines = format!(
        "User {ORDINARY_USER}\nWSGIDaemonProcess shop\nWSGIDaemonProcess idle threads=500\n\
         WSGIScriptAlias /a {place}/hello.wsgi process-group=shpo\nWSGIScriptAlias /b {place}/private/hello.wsgi process-group=shop\n\
         WSGIScriptAlias /c {place}/hello.wsgi\nWSGIScriptAlias /d {place}/none.wsgi process-group=shop\n"
    );
    let file = configuration(&directory, &lines);
    let done = Express::new(&["check", "--apache", "-f", &file]).run();
    assert_eq!(done.code, Some(1), "{done:?}");
    says(&done, "error: ", &["httpd.conf:", "shpo, which no WSGIDaemonProcess defines (is shop meant?)"]);
    says(&done, "warning: ", &["nobody uses the process group idle"]);
    says(&done, "warning: ", &["/c has no process group", "process-group="]);
    says(&done, "warning: ", &["idle can execute 500 requests at once"]);
    says(&done, "error: ", &["none.wsgi does not exist"]);
    if is_root() {
        says(&done, "error: ", &[ORDINARY_USER, "cannot get at", "private denies it; chmod o+x"]);
    } else {
        cannot_run("a path that Apache's user cannot enter", "the directory is the user's own");
    }
}

#[test]
fn tokens_that_an_application_is_not_told_are_noticed() {
    let directory = directory();
    directory.write("venv/lib/python3.11/site-packages/rest_framework/__init__.py", "");
    let place = directory.path().display();
    let lines = |more: &str| {
        format!(
            "WSGIDaemonProcess shop python-home={place}/venv\nWSGIScriptAlias / {place}/hello.wsgi process-group=shop\n{more}"
        )
    };
    let check = |more: &str| {
        let file = configuration(&directory, &lines(more));
        Express::new(&["check", "--apache", "-f", &file]).run()
    };
    says(&check(""), "warning: ", &["rest_framework", "WSGIPassAuthorization On"]);
    assert!(!check("WSGIPassAuthorization On\n").text.contains("rest_framework"));
}

#[test]
fn a_configuration_that_apache_refuses_is_one_finding() {
    let directory = directory();
    let file = configuration(&directory, "NoSuchDirective\n");
    let done = Express::new(&["check", "--apache", "-f", &file]).run();
    assert_eq!(done.code, Some(1), "{done:?}");
    says(&done, "error: ", &["Apache refuses", "NoSuchDirective"]);
}

#[test]
fn an_application_that_ends_its_process_does_not_run() {
    let directory = directory();
    directory.write("quits.wsgi", "import os\nos._exit(0)\n");
    directory.write("crashes.py", "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n");
    for (entry, how) in [("quits.wsgi", "exit status: 0"), ("crashes:application", "signal: 11 (SIGSEGV)")] {
        let done = check(&directory, &[entry]);
        says(&done, "error: ", &["ends the process that loads it", how, "-X faulthandler"]);
        assert_eq!(done.code, Some(1), "{done:?}");
    }
    for apart in [&[][..], &["--log-to-terminal"]] {
        let words = [&["start-server", "crashes:application"], apart].concat();
        let done = Express::new(&words).within(directory.path()).with_place().run();
        assert!(done.code == Some(1) && done.text.contains("ends the process that imports it"), "{apart:?}: {done:?}");
    }
}
