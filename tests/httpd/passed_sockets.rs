//! Sockets that whoever starts Apache has opened for it, as systemd does (`sd_listen_fds(3)`).

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv6Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use harness::{Httpd, MODES, ORDINARY_USER, PROBE, Scratch, Site, cannot_run, eventually, is_root};

/// The request of a client that closes after it.
fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
}

/// A client that has connected and asked, whoever may answer.
fn asking(socket: &TcpListener, path: &str) -> TcpStream {
    let mut client = TcpStream::connect(socket.local_addr().expect("an address")).expect("the backlog has room");
    client.set_read_timeout(Some(Duration::from_secs(60))).expect("a time limit");
    client.write_all(request(path).as_bytes()).expect("it is sent");
    client
}

fn answer(mut client: impl Read) -> String {
    let mut text = String::new();
    client.read_to_string(&mut text).expect("an answer");
    text
}

/// A listener at the first of the ports that only root may listen at.
fn privileged() -> Option<TcpListener> {
    (600..1024).rev().find_map(|port| TcpListener::bind(("127.0.0.1", port)).ok())
}

/// Restarts Apache, and waits until it minds signals again.
fn restart(site: &mut Httpd) {
    let pid = site.ask_at("/daemon", "os.getpid()");
    site.signal(libc::SIGUSR1);
    let is_new = || (site.ask_at("/daemon", "os.getpid()") != pid).then_some(());
    assert!(eventually(Duration::from_secs(30), is_new).is_some(), "another process");
}

fn site(socket: &TcpListener) -> harness::Builder {
    let listen = format!("Listen {}", socket.local_addr().expect("an address"));
    Httpd::both_modes("processes=1", PROBE).conf(&listen).passing(socket.try_clone().expect("a descriptor"))
}

#[test]
fn apache_listens_at_a_passed_socket_and_answers_who_came_before_it() {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
    let before = asking(&socket, "/daemon?7*6");
    let mut site = site(&socket).start();
    assert!(answer(before).ends_with("\r\n\r\n42"));
    for mode in MODES {
        let said = answer(asking(
            &socket,
            &format!("{mode}?%5Bn%20for%20n%20in%20os.environ%20if%20%27LISTEN%27%20in%20n%5D"),
        ));
        assert!(said.ends_with("[]"), "{mode}: {said}");
    }
    // No descriptor of it gets to a daemon process.
    let own =
        std::fs::metadata(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&socket))).expect("it is open");
    let inode = std::os::unix::fs::MetadataExt::ino(&own);
    let held = site.ask_at("/daemon", &format!("[n for n in os.listdir('/proc/self/fd') if os.path.exists('/proc/self/fd/' + n) and os.stat('/proc/self/fd/' + n).st_ino == {inode}]"));
    assert_eq!(held, serde_json::json!([]));
    restart(&mut site);
    assert!(answer(asking(&socket, "/daemon?1")).ends_with("\r\n\r\n1"));
    site.finish();
}

#[test]
fn a_server_that_has_no_rights_listens_below_1024_and_nobody_is_refused_while_it_is_replaced() {
    let Some(socket) = privileged().filter(|_| is_root()) else {
        return cannot_run("ports below 1024 for who has no rights", "only root can open them");
    };
    let server = || site(&socket).as_user(ORDINARY_USER).start();
    let first = server();
    assert!(answer(asking(&socket, "/daemon?1")).ends_with("\r\n\r\n1"));
    first.finish();
    let between = asking(&socket, "/daemon?2");
    let second = server();
    assert!(answer(between).ends_with("\r\n\r\n2"));
    second.finish();
}

#[test]
fn a_port_for_all_addresses_is_that_of_the_socket_that_is_passed_for_them() {
    let everywhere = |address: &str| TcpListener::bind((address, 0)).expect("a port");
    for socket in [everywhere("::"), everywhere("0.0.0.0")] {
        let port = socket.local_addr().expect("an address").port();
        let mut site = Httpd::both_modes("processes=1", PROBE)
            .conf(&format!("Listen {port}"))
            .passing(socket.try_clone().expect("a descriptor"))
            .start();
        let ask = || answer(asking_at(port));
        assert!(ask().ends_with("\r\n\r\n3"), "{socket:?}");
        restart(&mut site);
        assert!(ask().ends_with("\r\n\r\n3"), "{socket:?}");
        let is_there = TcpStream::connect((Ipv6Addr::LOCALHOST, port)).is_ok();
        assert_eq!(is_there, socket.local_addr().expect("an address").is_ipv6(), "no other socket is opened");
        site.finish();
    }
}

fn asking_at(port: u16) -> TcpStream {
    let mut client = TcpStream::connect(("127.0.0.1", port)).expect("somebody listens");
    client.write_all(request("/daemon?3").as_bytes()).expect("it is sent");
    client
}

#[test]
fn what_no_listen_is_for_is_named() {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
    let place = socket.local_addr().expect("an address").to_string();
    let site = Httpd::site("processes=1", PROBE)
        .passing(socket)
        .passing(File::open("/dev/null").expect("it is always there"))
        .expect_log(&["WSGI1108: "])
        .start();
    let text = site.log.wait_for("WSGI1108: ");
    assert!(
        text.contains(&format!("no Listen: 4, which is no stream socket that listens, {place}; correct")),
        "{text}"
    );
    site.finish();
}

#[test]
fn a_passed_unix_socket_is_served_for_clients_of_this_machine() {
    let directory = Scratch::new();
    let path = directory.path().join("http.sock");
    let socket = UnixListener::bind(&path).expect("a socket");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).expect("for everybody");
    let mut site = Httpd::both_modes("processes=1", PROBE)
        .conf("<Location />\nRequire local\n</Location>")
        .conf("<VirtualHost *:{port}>\nWSGIScriptAlias /host {apps}/site.wsgi process-group=site\n</VirtualHost>")
        .passing(socket)
        .start();
    let ask = |expression: &str| {
        let mut client = UnixStream::connect(&path).expect("somebody listens");
        client.write_all(request(&format!("/host?{expression}")).as_bytes()).expect("it is sent");
        answer(client)
    };
    for _ in 0..2 {
        let said = ask("environ['REMOTE_ADDR']");
        assert!(said.ends_with("\r\n\r\n\"127.0.0.1\""), "{said}");
        restart(&mut site);
    }
    assert!(ask("5").ends_with("\r\n\r\n5"));
    site.finish();
}
