//! `--debug-mode` and the tools that work in it.

use harness::{Express, Finished, Foreground, HELLO, PROBE, Scratch, Site, eventually};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

fn directory(script: &str) -> Scratch {
    let directory = Scratch::new();
    directory.write("app.wsgi", script);
    directory
}

fn command(directory: &Scratch, words: &[&str]) -> Express {
    let words: Vec<_> = ["start-server", "app.wsgi"].into_iter().chain(words.iter().copied()).collect();
    Express::new(&words).within(directory.path())
}

fn start(directory: &Scratch, words: &[&str]) -> Foreground {
    command(directory, words).start()
}

/// The files of a directory, by name.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(directory).expect("a directory").flatten().map(|entry| entry.path()).collect();
    found.sort();
    found
}

/// The content of the only file with this extension.
fn only(directory: &Path, extension: &str) -> String {
    let named = |path: &PathBuf| path.extension().is_some_and(|found| found == extension);
    let [file] = &files(directory).into_iter().filter(named).collect::<Vec<_>>()[..] else {
        panic!("not one {extension}: {:?}", files(directory))
    };
    String::from_utf8_lossy(&fs::read(file).expect("a file")).into_owned()
}

#[test]
fn everything_runs_in_one_thread_of_the_command_itself() {
    let directory = directory(PROBE);
    let mut server = start(&directory, &["--debug-mode", "--processes", "3", "--threads", "7"]);
    assert_eq!(server.ask("os.getpid()"), server.pid());
    assert_eq!(
        server.ask("[environ['wsgi.multithread'], environ['wsgi.multiprocess'], environ['mod_wsgi.process_group']]"),
        serde_json::json!([false, false, ""])
    );
    assert_eq!(
        server.ask("[os.environ.get('MOD_WSGI_DEBUG_MODE'), os.getcwd()]"),
        serde_json::json!(["true", directory.path()])
    );
    let console = server.console.text();
    assert!(
        console.contains("Operating Mode     : debug") && console.contains(": 1 (1 process * 1 threads)"),
        "{console}"
    );
    let status = server.stop(libc::SIGINT).expect("it stops");
    assert!(status.success(), "{status}");
}

#[test]
fn what_the_application_prints_is_on_the_terminal_as_it_is() {
    let directory = directory(&format!("print('printed')\n{HELLO}"));
    let server = start(&directory, &["--debug-mode"]);
    assert_eq!(server.get("/").text(), "hello");
    assert!(
        eventually(Duration::from_secs(10), || server.console.text().contains("\nprinted\n").then_some(())).is_some()
    );
}

#[test]
fn an_exception_stops_in_the_debugger_where_it_was_raised_and_implies_debug_mode() {
    let directory =
        directory("def application(environ, start_response):\n    secret = 6 * 7\n    raise ValueError(secret)\n");
    let server = command(&directory, &["--enable-debugger"]).typing("p 'secret is', secret\nc\n").start();
    server.console.expect(&["ValueError: 42"]);
    assert_eq!(server.get("/").status, 500);
    let console = server.console.text();
    assert!(console.contains("('secret is', 42)") && console.contains("Operating Mode     : debug"), "{console}");
}

#[test]
fn the_debugger_stops_at_the_response_of_a_generator_too() {
    let directory = directory(
        "def application(environ, start_response):\n    start_response('200 OK', [])\n    name = 'generator'\n    yield b''\n    yield name / 2\n",
    );
    let server = command(&directory, &["--enable-debugger"]).typing("p name * 2\nc\n").start();
    server.console.expect(&["TypeError"]);
    assert_eq!(server.get("/").status, 500);
    assert!(server.console.text().contains("'generatorgenerator'"), "{}", server.console.text());
}

#[test]
fn at_startup_breakpoints_can_be_set_that_requests_stop_at() {
    let directory = directory(PROBE);
    directory.write("shop.py", "def price():\n    cents = 1234\n    return cents\n");
    directory.write("app.wsgi", format!("import shop\n{PROBE}"));
    let keys = "import shop\nbreak shop.price\nc\nn\np 'cents:', cents\nc\n";
    let words = ["--enable-debugger", "--debugger-startup", "--python-path", "."];
    let server = command(&directory, &words).typing(keys).start();
    assert_eq!(server.ask("shop.price()"), 1234);
    assert!(server.console.text().contains("('cents:', 1234)"), "{}", server.console.text());
}

#[test]
fn the_profile_is_written_when_the_server_ends_and_has_what_requests_called() {
    let directory = directory(&format!("def costly():\n    return 1\n{PROBE}"));
    let mut server = start(&directory, &["--enable-profiler"]);
    assert_eq!(server.ask("costly()"), 1);
    assert!(server.stop(libc::SIGTERM).expect("it stops").success());
    let [profile] = &files(&server.server_root().join("pstats"))[..] else { panic!("one profile") };
    let python = "import pstats, sys; pstats.Stats(sys.argv[1]).print_stats('costly')";
    let shown = Command::new("python3").args(["-c", python]).arg(profile).output().expect("python3 runs");
    let shown = String::from_utf8_lossy(&shown.stdout);
    assert!(shown.contains("(costly)"), "{shown}");
}

#[test]
fn coverage_tells_which_lines_were_executed() {
    let directory = directory(PROBE);
    directory.write("shop.py", "def sold():\n    return 'sold'\n\n\ndef unsold():\n    return 'unsold'\n");
    directory.write("app.wsgi", format!("import shop\n{PROBE}"));
    let output = directory.path().join("report").display().to_string();
    let words = ["--enable-coverage", "--coverage-directory", &output, "--python-path", "."];
    directory.write("report/.keep", "");
    directory.set_mode("report", 0o777);
    let mut server = start(&directory, &words);
    assert_eq!(server.ask("shop.sold()"), "sold");
    assert!(server.stop(libc::SIGTERM).expect("it stops").success());
    let page = files(Path::new(&output)).into_iter().find(|path| path.to_string_lossy().ends_with("shop_py.html"));
    let page = fs::read_to_string(page.expect("a page for the module")).expect("readable");
    let line =
        |number| page.split("<p class=").find(|part| part.contains(&format!("id=\"t{number}\""))).expect("a line");
    assert!(line(2).starts_with("\"run") && line(6).starts_with("\"mis"), "{} {}", line(2), line(6));
}

#[test]
fn the_recorder_keeps_each_request_with_its_answer() {
    let directory = directory(&format!(
        "{PROBE}\nprobe = application\ndef application(environ, start_response):\n    if environ['PATH_INFO'] == '/bad':\n        raise KeyError('lost')\n    return probe(environ, start_response)\n"
    ));
    let server = start(&directory, &["--enable-recorder"]);
    server.console.expect(&["KeyError: 'lost'"]);
    let archive = server.server_root().join("archive");
    let answer = server.post("/shop?environ['wsgi.input'].read().decode()", b"what was sent");
    assert_eq!(answer.text(), "\"what was sent\"");
    assert!(only(&archive, "iheaders").contains("REQUEST_METHOD: 'POST'\n"));
    assert_eq!(only(&archive, "icontent"), "what was sent");
    assert!(only(&archive, "oheaders").starts_with("200 OK\nContent-Type: application/json\n"));
    assert_eq!(only(&archive, "ocontent"), "\"what was sent\"");
    assert_eq!(server.get("/bad").status, 500);
    assert!(only(&archive, "oaexcept").contains("KeyError: 'lost'"));
}

#[test]
fn gdb_runs_apache() {
    let directory = directory(PROBE);
    let gdb = directory
        .write("gdb", "#!/bin/sh\necho \"gdb: $*\"\nwhile [ \"$1\" != --args ]; do shift; done\nshift\nexec \"$@\"\n");
    let server = start(&directory, &["--enable-gdb", "--gdb-executable", &gdb.display().to_string()]);
    assert_eq!(
        server.ask("[os.getpid(), os.environ['MOD_WSGI_GDB_ENABLED']]"),
        serde_json::json!([server.pid(), "true"])
    );
    let console = server.console.text();
    assert!(console.contains("gdb: -quiet -ex run --args /") && console.contains("-DONE_PROCESS"), "{console}");
}

#[test]
fn mistakes_are_named() {
    let directory = directory(HELLO);
    let run = |words: &[&str]| -> Finished { command(&directory, words).with_place().run() };
    let locked = directory.directory("locked");
    directory.set_mode("locked", 0o500);
    for (words, named) in [
        (&["--debugger-startup"][..], "--debugger-startup needs --enable-debugger"),
        (&["--debug-mode", "--env-file", "x"], "--env-file cannot be combined with --debug-mode"),
        (&["--enable-gdb", "--gdb-executable", "/no/gdb"], "/no/gdb"),
    ] {
        let done = run(words);
        assert!(done.code == Some(2) && done.text.contains(named), "{done:?}");
    }
    let done = run(&["--enable-recorder", "--recorder-directory", &locked.display().to_string()]);
    assert!(done.code == Some(1) && done.text.contains("--recorder-directory"), "{done:?}");
}
