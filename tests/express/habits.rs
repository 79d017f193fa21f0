//! Ways to start a server that people bring along from others: MODULE:CALLABLE, --bind, --workers, options in files and
//! variables.

use harness::{Express, Finished, HELLO, ORDINARY_USER, PROBE, Scratch, Site, cannot_run, free_port, get, is_root};
use std::os::unix::fs::chown;

/// A project with a module, a package, and a script.
fn project() -> Scratch {
    let directory = Scratch::new();
    directory.write("shop/__init__.py", "");
    directory.write("shop/wsgi.py", format!("{PROBE}\nother = application\n"));
    directory.write("hello.wsgi", HELLO);
    directory
}

fn shown(directory: &Scratch, words: &[&str], variables: &[(&str, &str)]) -> Finished {
    let words: Vec<_> = ["start-server", "--show-config"].into_iter().chain(words.iter().copied()).collect();
    let express = Express::new(&words).within(directory.path());
    variables.iter().fold(express, |express, (name, value)| express.env(name, value)).run()
}

#[test]
fn a_module_with_its_callable_is_told_from_a_file_by_what_exists() {
    let directory = project();
    for entry in ["shop.wsgi:other", "shop.wsgi"] {
        let server = Express::new(&["start-server", entry]).within(directory.path()).start();
        assert_eq!(server.ask("__name__"), "shop.wsgi", "{entry}");
    }
    directory.write("shop.wsgi", HELLO);
    let script = Express::new(&["start-server", "shop.wsgi"]).within(directory.path()).start();
    assert_eq!(script.get("/").text(), "hello");
    let missing = Express::new(&["start-server", "shop.wsgi:missing"]).within(directory.path()).with_place().run();
    assert!(missing.code == Some(1) && missing.text.contains("no callable 'missing'"), "{missing:?}");
}

#[test]
fn a_server_listens_at_all_addresses_that_are_named() {
    let directory = project();
    let ports = [free_port(), free_port()];
    let [first, second] = ports.map(|port| format!("127.0.0.1:{port}"));
    let root = directory.path().join("root").display().to_string();
    let mut words =
        vec!["start-server", "shop.wsgi:application", "-b", &first, "--bind", &second, "--server-root", &root];
    words.extend(["--server-name", "shop.example", "--allow-localhost", "--workers", "2", "--log-to-terminal"]);
    if is_root() {
        words.extend(["--user", ORDINARY_USER, "--group", ORDINARY_USER]);
    }
    let server = Express::new(&words).within(directory.path()).on_port(ports[0]).start_as_it_is();
    assert_eq!(server.ask("environ['wsgi.multiprocess']"), true);
    for port in ports {
        assert_eq!(get(&format!("http://127.0.0.1:{port}/?1")).text(), "1");
    }
    let console = server.console.text();
    assert!(console.contains(&format!("http://127.0.0.1:{}/", ports[1])), "{console}");
}

#[test]
fn a_port_that_is_left_open_is_chosen_and_told() {
    let directory = project();
    let started = || Express::new(&["start-server", "hello.wsgi"]).within(directory.path()).on_port(0).start();
    let servers = [started(), started()];
    assert_ne!(servers[0].port(), servers[1].port());
    for server in &servers {
        assert_eq!(server.get("/").text(), "hello");
    }
    let both = ["setup-server", "--print", "hello.wsgi", "-b", "127.0.0.1:0", "--bind", "127.0.0.1:0"];
    let done = Express::new(&both).within(directory.path()).run();
    let mut listened: Vec<_> = done.text.lines().filter(|line| line.starts_with("Listen ")).collect();
    listened.dedup();
    assert!(done.code == Some(0) && listened.len() == 2 && !done.text.contains("127.0.0.1:0\n"), "{done:?}");
}

#[test]
fn each_option_has_the_value_of_the_first_place_that_has_one() {
    let directory = project();
    directory.write(
        "pyproject.toml",
        "[tool.mod_wsgi-express]\nthreads = 2\nprocesses = 2\nport = 8002\nentry-point = 'hello.wsgi'\n",
    );
    directory.write("server.toml", "threads = 3\nprocesses = 3\nurl-alias = { '/static' = 'static' }\n");
    let variables = [("MOD_WSGI_EXPRESS_THREADS", "4"), ("MOD_WSGI_EXPRESS_ACCESS_LOG", "yes")];
    let done = shown(&directory, &["-c", "server.toml", "--threads", "5"], &variables);
    assert_eq!(done.code, Some(0), "{done:?}");
    for line in [
        "threads = \"5\"  # command line\n",
        "access-log = true  # MOD_WSGI_EXPRESS_ACCESS_LOG\n",
        "processes = \"3\"  # server.toml\n",
        "url-alias = [\"/static\", \"static\"]  # server.toml\n",
        "port = \"8002\"  # pyproject.toml\n",
        "entry-point = \"hello.wsgi\"  # pyproject.toml\n",
        "log-level = \"warn\"  # default\n",
    ] {
        assert!(done.text.contains(line), "{line:?} is not in {}", done.text);
    }
    // What is shown can be used as it is.
    directory.write("shown.toml", &done.text);
    directory.write("pyproject.toml", "");
    let again = shown(&directory, &["-c", "shown.toml"], &[]);
    assert!(
        again.text.contains("threads = \"5\"  # shown.toml\n") && again.text.contains("port = \"8002\""),
        "{again:?}"
    );
}

#[test]
fn a_project_starts_with_no_words_at_all() {
    let directory = project();
    directory.write("pyproject.toml", "[tool.mod_wsgi-express]\nentry-point = 'shop.wsgi:application'\nthreads = 3\n");
    let server = Express::new(&["start-server"]).within(directory.path()).start();
    assert_eq!(server.ask("__name__"), "shop.wsgi");
    server.console.wait_for(": 3 (1 process * 3 threads)");
}

#[test]
fn mistakes_are_named_with_their_place() {
    let directory = project();
    directory.write("broken.toml", "port = \n");
    directory.write("odd.toml", "prot = 80\n");
    directory.write("wrong.toml", "port = 'eighty'\n");
    for (words, variables, named) in [
        (&["-c", "missing.toml"][..], &[][..], &["missing.toml"][..]),
        (&["-c", "broken.toml"], &[], &["broken.toml: line 1"]),
        (&["-c", "odd.toml"], &[], &["odd.toml", "prot"]),
        (&["-c", "wrong.toml"], &[], &["wrong.toml", "'eighty'", "--port"]),
        (&[], &[("MOD_WSGI_EXPRESS_THREADS", "many")], &["MOD_WSGI_EXPRESS_THREADS", "'many'"]),
        (&[], &[("MOD_WSGI_EXPRESS_THREAD", "1")], &["MOD_WSGI_EXPRESS_THREAD", "thread"]),
        (&["--bind", "unix:"], &[], &["--bind", "a path follows unix:"]),
        (&["--bind", "::1:80"], &[], &["--bind", "[::1]:8000"]),
        (&["--bind", ":80", "--port", "81"], &[], &["--bind", "--port"]),
    ] {
        let done = shown(&directory, words, variables);
        assert!(done.code == Some(2) && named.iter().all(|name| done.text.contains(name)), "{words:?}: {done:?}");
    }
}

#[test]
fn root_takes_options_from_no_file_of_others() {
    if !is_root() {
        return cannot_run("root_takes_options_from_no_file_of_others", "only root has others to fear here");
    }
    let directory = project();
    let file = directory.write("pyproject.toml", "[tool.mod_wsgi-express]\nhttpd-executable = '/tmp/evil'\n");
    chown(&file, Some(65534), Some(65534)).expect("a file of nobody");
    let done = shown(&directory, &[], &[]);
    assert!(done.code == Some(2) && done.text.contains("pyproject.toml"), "{done:?}");
}

#[test]
fn whatever_somebody_calls_pyproject_toml_the_command_neither_waits_for_it_nor_reads_it_without_end() {
    let directory = project();
    let file = directory.path().join("pyproject.toml");
    for kind in ["fifo", "device", "sparse", "directory"] {
        let _ = std::fs::remove_file(&file);
        match kind {
            "fifo" => {
                let made = std::process::Command::new("mkfifo").arg(&file).status();
                assert!(made.is_ok_and(|status| status.success()));
            }
            "device" => std::os::unix::fs::symlink("/dev/zero", &file).expect("a link"),
            "sparse" => {
                directory.write("pyproject.toml", "[tool.mod_wsgi-express]\nport = 1\n");
                std::fs::File::options().write(true).open(&file).expect("it").set_len(1 << 40).expect("a long file");
            }
            _ => std::fs::create_dir(&file).expect("a directory"),
        }
        let done = shown(&directory, &["hello.wsgi"], &[]);
        assert!(done.code == Some(0) && !done.text.contains("# pyproject"), "{kind}: {done:?}");
    }
}
