//! Sockets of systemd, and unix sockets of `--bind`.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use harness::{
    Express, HELLO, ORDINARY_USER, PROBE, Scratch, Site, cannot_run, eventually, free_port, is_root, judge_unit,
};

/// A directory with applications, for everybody.
fn project() -> Scratch {
    let directory = Scratch::new();
    directory.write("hello.wsgi", HELLO);
    directory.write("probe.wsgi", PROBE);
    directory
}

/// `start-server` with nothing that says where to listen.
fn server(directory: &Scratch, words: &[&str], port: u16) -> Express {
    let root = directory.path().join("root").display().to_string();
    let mut all = vec!["start-server"];
    all.extend(words);
    all.extend(["--server-root", &root, "--log-to-terminal"]);
    if is_root() {
        all.extend(["--user", ORDINARY_USER, "--group", ORDINARY_USER]);
    }
    Express::new(&all).within(directory.path()).on_port(port)
}

/// The answer to `GET /` on a stream.
fn ask<S: Read + Write>(mut stream: S, query: &str) -> String {
    let request = format!("GET /?{query} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it is sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    text
}

fn listens(directory: &Scratch) -> Vec<String> {
    let text = std::fs::read_to_string(directory.path().join("root/httpd.conf")).expect("it is there");
    text.lines().filter(|line| line.starts_with("Listen ")).map(str::to_owned).collect()
}

#[test]
fn without_a_word_a_server_listens_at_the_sockets_of_systemd_alone() {
    let directory = project();
    let path = directory.path().join("http.sock");
    let unix = UnixListener::bind(&path).expect("a socket");
    let [first, second] = ["127.0.0.1:0", "[::1]:0"].map(|place| TcpListener::bind(place).expect("a port"));
    let [here, there] = [&first, &second].map(|socket| socket.local_addr().expect("an address"));
    // Somebody waits already.
    let mut early = TcpStream::connect(here).expect("the backlog has room");
    early.write_all(b"GET /?6*7 HTTP/1.0\r\n\r\n").expect("it is sent");
    let express = server(&directory, &["probe.wsgi"], here.port()).passing(first).passing(second).passing(unix);
    let mut server = express.start_as_it_is();
    let mut answer = String::new();
    early.read_to_string(&mut answer).expect("an answer");
    assert!(answer.ends_with("42"), "{answer}");
    assert_eq!(
        server.ask("[name for name in os.environ if 'LISTEN' in name and name.endswith(('FDS', 'PID', 'NAMES'))]"),
        serde_json::json!([])
    );
    assert_eq!(listens(&directory), [format!("Listen {here}"), format!("Listen {there}")]);
    let console = server.console.text();
    let named = format!("Passed Sockets     : {here}, {there}, unix:{}\n", path.display());
    assert!(console.contains(&named), "{console}");
    let mut pid = server.ask("os.getpid()");
    for restarts in 0..2 {
        assert!(ask(TcpStream::connect(there).expect("somebody listens"), "1").ends_with("\r\n\r\n1"));
        assert!(ask(UnixStream::connect(&path).expect("somebody listens"), "2").ends_with("\r\n\r\n2"));
        if restarts == 0 {
            harness::kill(server.pid(), libc::SIGUSR1);
            let is_new = || Some(server.ask("os.getpid()")).filter(|now| *now != pid);
            pid = eventually(Duration::from_secs(30), is_new).expect("another process");
        }
    }
    assert!(server.stop(libc::SIGTERM).is_some());
}

#[test]
fn who_says_where_to_listen_gets_a_socket_of_systemd_there_and_is_told_of_others() {
    let directory = project();
    let [wanted, other] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
    let [place, unused] = [&wanted, &other].map(|socket| socket.local_addr().expect("an address"));
    let server =
        server(&directory, &["hello.wsgi", "-b", &place.to_string()], place.port()).passing(wanted).passing(other);
    let server = server.start_as_it_is();
    server.console.expect(&["WSGI1108: "]);
    assert_eq!(server.get("/").text(), "hello");
    let text = server.console.wait_for("WSGI1108: ");
    assert!(text.contains(&format!("no Listen: {unused}; correct Listen")), "{text}");
}

#[test]
fn https_is_spoken_at_the_socket_of_its_port() {
    let directory = project();
    let [plain, secure] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
    let [here, https] = [&plain, &secure].map(|socket| socket.local_addr().expect("an address"));
    let words = ["hello.wsgi", "--https-port", &https.port().to_string(), "--self-signed"];
    let server = server(&directory, &words, here.port()).passing(plain).passing(secure).start_as_it_is();
    assert_eq!(server.get("/").text(), "hello");
    assert_eq!(listens(&directory), [format!("Listen {here}"), format!("Listen {https} https")]);
    // An error in plain words is what TLS answers to HTTP.
    assert!(ask(TcpStream::connect(https).expect("somebody listens"), "").contains("speaking plain HTTP"));
}

#[test]
fn a_unix_socket_is_made_and_that_of_a_server_that_has_ended_is_made_anew() {
    let directory = project();
    let path = directory.path().join("site.sock");
    let words = |port: u16| [format!("127.0.0.1:{port}"), format!("unix:{}", path.display())];
    for _ in 0..2 {
        let port = free_port();
        let [inet, unix] = words(port);
        let mut server = server(&directory, &["hello.wsgi", "-b", &unix, "-b", &inet], port).start_as_it_is();
        assert!(ask(UnixStream::connect(&path).expect("somebody listens"), "").ends_with("hello"));
        assert!(server.console.text().contains(&format!("Server Socket      : {unix}\n")), "{}", server.console.text());
        refused(&directory, &path, "is already in use");
        assert!(server.stop(libc::SIGTERM).is_some());
    }
    let file = directory.write("file", "precious");
    refused(&directory, &file, "no socket");
    assert_eq!(std::fs::read_to_string(&file).expect("it is still there"), "precious");
    refused(&directory, &directory.path().join("none/site.sock"), "cannot listen at");
    let set_up = Express::new(&["setup-server", "hello.wsgi", "-b", "unix:x"]).within(directory.path()).run();
    assert!(set_up.code == Some(2) && set_up.text.contains("is for start-server"), "{set_up:?}");
}

fn refused(directory: &Scratch, path: &Path, reason: &str) {
    let unix = format!("unix:{}", path.display());
    let done = server(directory, &["hello.wsgi", "-b", &unix], 0).run();
    assert!(done.code == Some(1) && done.text.contains(reason), "{done:?}");
}

/// systemd's own tool passes them as the service manager does, when the first client comes.
#[test]
fn systemd_socket_activate_starts_a_server_for_the_first_client() {
    let Some(activate) = program("systemd-socket-activate") else {
        return cannot_run("a start by systemd-socket-activate", "there is none");
    };
    let directory = project();
    let port = free_port();
    let root = directory.path().join("root").display().to_string();
    let listen = format!("--listen=127.0.0.1:{port}");
    let command = std::env::var("MOD_WSGI_EXPRESS").expect("the product");
    let mut words = vec![
        listen.as_str(),
        "-E",
        "HOME",
        "-E",
        "TMPDIR",
        "-E",
        "PATH",
        command.as_str(),
        "start-server",
        "probe.wsgi",
    ];
    words.extend(["--server-root", &root, "--log-to-terminal"]);
    if is_root() {
        words.extend(["--user", ORDINARY_USER, "--group", ORDINARY_USER]);
    }
    let activate = activate.display().to_string();
    let server = Express::program(&activate, &words).within(directory.path()).on_port(port).start_as_it_is();
    assert_eq!(server.ask("1 + 1"), 2);
    assert_eq!(listens(&directory), [format!("Listen 127.0.0.1:{port}")]);
}

fn program(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|directory| directory.join(name)).find(|path| path.is_file())
}

#[test]
fn the_unit_of_the_sockets_is_one_that_systemd_understands() {
    let directory = project();
    let words = ["setup-server", "--systemd=socket", "hello.wsgi", "--process-group", "shop", "--user", "www-data"];
    let places =
        ["-b", "127.0.0.1:80", "-b", ":8080", "-b", "unix:/run/shop/http.sock", "--https-port", "443", "--self-signed"];
    let done = Express::new(&[&words[..], &places].concat()).within(directory.path()).run();
    assert_eq!(done.code, Some(0), "{done:?}");
    let streams: Vec<_> = done.text.lines().filter_map(|line| line.strip_prefix("ListenStream=")).collect();
    assert_eq!(streams, ["127.0.0.1:80", "8080", "443", "/run/shop/http.sock"], "{done:?}");
    let unit = directory.write("shop.socket", &done.text);
    directory.set_mode("shop.socket", 0o644);
    directory.write("shop.service", "[Service]\nExecStart=/bin/true\n");
    directory.set_mode("shop.service", 0o644);
    match Command::new("systemd-analyze").arg("verify").arg(&unit).output() {
        Ok(verified) => assert!(verified.status.success() && verified.stderr.is_empty(), "{verified:?}"),
        Err(_) => cannot_run("what systemd-analyze says of the unit", "there is no systemd-analyze"),
    }
    let service = Express::new(&[
        "setup-server",
        "--systemd",
        "hello.wsgi",
        "--user",
        "www-data",
        "-b",
        "unix:/run/shop/http.sock",
    ]);
    let service = service.within(directory.path()).run();
    assert!(service.text.contains("-b unix:/run/shop/http.sock"), "{service:?}");
    judge_unit(&directory, &service.text, 30);
}
