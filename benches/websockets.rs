//! WebSockets that hold no thread of Apache: what each of very many idle ones costs, over TLS too, and whether requests
//! notice them; 20 000 connections that are reset right behind the upgrade; 20 graceful restarts under 1 000 open ones
//! and a load.
//!
//! `cargo bench -p wsgi-tests --bench websockets [-- SOCKETS]`, with `ulimit -n` above the number of sockets.

#![allow(clippy::expect_used, reason = "whatever goes wrong here ends the run, with its place")]

use harness::websocket::{self, CLOSE, TEXT, WebSocket, frame, request};
use harness::{Httpd, Load, Role, Scratch, Site, Verdict, eventually, free_port, module, repetitions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

const SOCKETS: usize = 10_000;
const RESETS: usize = 20_000;
const RESTARTS: usize = 20;
/// How many WebSockets are open while Apache restarts.
const KEPT: usize = 1_000;
/// Apache's children.
const CHILDREN: usize = 4;
/// The threads of each that serve requests. It has four more: the main one, the listener, the pump, and that of
/// records.
const THREADS: usize = 12;
/// All threads of all children.
const ALL_THREADS: usize = 64;
/// How long idle WebSockets are watched: twice the time from ping to ping.
const WATCHED: Duration = Duration::from_secs(40);
/// The part of a processor that Apache's half may need for idle WebSockets.
const BUSY: f64 = 0.03;
/// How long requests are measured.
const MEASURED: Duration = Duration::from_secs(10);
/// What an idle WebSocket may cost in Apache's half, KiB: plain, and over TLS.
const COST: [f64; 2] = [28.0, 55.0];
/// How much slower the slowest hundredth of requests may be beside idle WebSockets.
const SLOWER: f64 = 1.2;

/// Echoes, and serves requests.
const APP: &str = r#"
async def application(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        return await send({"type": "http.response.body", "body": b"hello"})
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})
"#;

/// Opens WebSockets, over TLS or not, says so, and holds them until it is told to end. Pings are answered.
const HOLD: &str = r#"
import select, socket, ssl, sys
port, count, request, tls = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3].encode(), sys.argv[4] == "tls"
context = ssl._create_unverified_context()
held, poll = {}, select.epoll()
for _ in range(count):
    client = socket.create_connection(("127.0.0.1", port))
    if tls:
        client = context.wrap_socket(client)
    client.sendall(request)
    assert client.recv(4096).startswith(b"HTTP/1.1 101 ")
    client.setblocking(False)
    held[client.fileno()] = client
    poll.register(client.fileno(), select.EPOLLIN)
print("open", flush=True)
poll.register(0, select.EPOLLIN)
while True:
    for fd, _ in poll.poll():
        if fd == 0:
            sys.exit()
        try:
            assert held[fd].recv(4096) == b"\x89\0", "a ping"
            held[fd].send(b"\x8a\x80\0\0\0\0")
        except ssl.SSLWantReadError:
            pass
"#;

fn main() -> ExitCode {
    let count = repetitions(SOCKETS);
    let mut verdict = Verdict::default();
    idle(count, &mut verdict);
    resets(RESETS * count / SOCKETS, &mut verdict);
    restarts((RESTARTS * count / SOCKETS).max(2), &mut verdict);
    verdict.exit_code()
}

/// A server with so many threads that can hold so many WebSockets.
fn site(sockets: usize, options: &str, own: &str) -> Httpd {
    let workers = CHILDREN * THREADS;
    let factor = 2 * sockets / workers + 2;
    Httpd::builder()
        .app("site.wsgi", APP)
        .conf(&format!(
            "ServerLimit 16\nThreadLimit {THREADS}\nThreadsPerChild {THREADS}\nStartServers {CHILDREN}\n\
             MaxRequestWorkers {workers}\nMinSpareThreads {workers}\nMaxSpareThreads {workers}\n\
             AsyncRequestWorkerFactor {factor}\nListenBacklog 4096"
        ))
        .conf(&format!("WSGIDaemonProcess site interface=asgi limit-websockets={sockets} {options}"))
        .conf("WSGIScriptAlias / {apps}/site.wsgi process-group=site")
        .conf(own)
        .log_level("warn")
        .start()
}

/// Resident memory of Apache's children, KiB, and how many threads they have.
fn children(site: &Httpd) -> (u64, usize) {
    let children = site.census().into_iter().filter(|member| member.role == Role::Child);
    children.fold((0, 0), |(memory, threads), child| {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", child.pid)).map_or(0, Iterator::count);
        (memory + child.resident, threads + tasks)
    })
}

/// The slowest hundredth of requests.
fn slowest(site: &Httpd) -> Duration {
    let load = Load::start(site, "/", 2);
    std::thread::sleep(MEASURED);
    let mut latencies: Vec<_> = load.stop().iter().map(harness::Outcome::latency).collect();
    latencies.sort();
    latencies.get(latencies.len() * 99 / 100).copied().unwrap_or(Duration::MAX)
}

fn echoes(socket: &mut WebSocket) -> bool {
    socket.send_bytes(&frame(0x80 | TEXT, b"hello")).is_ok() && socket.message() == Some((TEXT, b"hello".to_vec()))
}

/// Many that do nothing.
fn idle(count: usize, verdict: &mut Verdict) {
    let directory = Scratch::new();
    let port = free_port();
    let tls = host(directory.path(), port);
    let site = site(count, "ws-ping-interval=20", tls.as_deref().unwrap_or_default());
    let alone = slowest(&site);
    let (before, _) = children(&site);
    let begun = Instant::now();
    let mut sockets: Vec<_> = (0..count).map(|_| WebSocket::open(site.port(), "/")).collect();
    let took = begun.elapsed();
    let (with, threads) = children(&site);
    let each = with.saturating_sub(before) as f64 / count as f64;
    verdict.bound(format!("{count} idle WebSockets, opened in {took:.1?}: {each:.1} KiB each"), each <= COST[0]);
    verdict.bound(format!("{threads} threads in Apache's children"), threads <= ALL_THREADS);
    let beside = slowest(&site);
    let ratio = beside.as_secs_f64() / alone.as_secs_f64();
    verdict.bound(format!("99 of 100 requests within {beside:.2?}, without them {alone:.2?}"), ratio <= SLOWER);
    let alive = sockets.iter_mut().step_by(97).all(echoes);
    verdict.bound("all of a sample echo", alive);
    drop(sockets);
    std::thread::sleep(Duration::from_secs(4));
    let (left, _) = children(&site);
    println!("     memory of the children: {before} KiB before, {with} with them, {left} afterwards");
    if tls.is_some() {
        let count = count / 5;
        let (before, _) = children(&site);
        let held = Held::open(port, count, "tls");
        let (with, _) = children(&site);
        let each = with.saturating_sub(before) as f64 / count as f64;
        verdict.bound(format!("{count} over TLS: {each:.1} KiB each"), held.is_open && each <= COST[1]);
    }
    let held = Held::open(site.port(), count, "plain");
    let before = used(&site);
    std::thread::sleep(WATCHED);
    let [child, daemon] = [0, 1].map(|half| (used(&site)[half] - before[half]) / WATCHED.as_secs_f64());
    let [of_child, of_daemon] = [child, daemon].map(|part| part * 100.0);
    verdict.bound(
        format!("{count} that answer pings: {of_child:.2} % of a processor in Apache, {of_daemon:.2} % in the process"),
        held.is_open && child <= BUSY,
    );
    drop(held);
    site.finish();
}

/// A program that holds WebSockets.
struct Held {
    program: Child,
    /// Whether it could open all of them.
    is_open: bool,
}

impl Held {
    fn open(port: u16, count: usize, how: &str) -> Self {
        let mut program = python(port, count, how);
        let mut line = String::new();
        let told = program.stdout.take().map(|stdout| BufReader::new(stdout).read_line(&mut line));
        Self { program, is_open: told.is_some_and(|told| told.is_ok()) && line == "open\n" }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.program.stdin.take());
        let _ = self.program.wait();
    }
}

/// The time of processors that Apache's children have used, and the daemon processes, seconds.
fn used(site: &Httpd) -> [f64; 2] {
    [Role::Child, Role::Daemon].map(|role| {
        let own = site.census().into_iter().filter(|member| member.role == role);
        own.map(|member| {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", member.pid)).unwrap_or_default();
            // Behind the name, which may have any character: the state is the first, proc_pid_stat(5) calls it the
            // third.
            let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
            let ticks: f64 = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
            // In each second (USER_HZ).
            ticks / 100.0
        })
        .sum()
    })
}

/// The virtual host for TLS, where that can be had.
fn host(directory: &Path, port: u16) -> Option<String> {
    let module = module("ssl")?;
    let [key, certificate] = ["key.pem", "certificate.pem"].map(|name| directory.join(name));
    let words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
    let mut make = Command::new("openssl");
    make.args(words).args(["-subj", "/CN=localhost", "-keyout"]).arg(&key).arg("-out").arg(&certificate);
    make.output().ok().filter(|made| made.status.success())?;
    Some(format!(
        "LoadModule ssl_module {}\nListen 127.0.0.1:{port}\n<VirtualHost *:{port}>\nSSLEngine on\nSSLCertificateFile {}\n\
         SSLCertificateKeyFile {}\nWSGIScriptAlias / {{apps}}/site.wsgi process-group=site\n</VirtualHost>",
        module.display(),
        certificate.display(),
        key.display()
    ))
}

fn python(port: u16, count: usize, how: &str) -> Child {
    let mut python = Command::new("python3");
    python.args(["-c", HOLD, &port.to_string(), &count.to_string(), &request("/", &[]), how]);
    python.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python3 runs")
}

/// Connections that end in the worst moments.
fn resets(count: usize, verdict: &mut Verdict) {
    let site = site(4_000, "", "");
    let mut witness: Vec<_> = (0..20).map(|_| WebSocket::open(site.port(), "/")).collect();
    let begun = Instant::now();
    let clients: Vec<_> = (0..4).map(|_| websocket::resets(site.port(), "/", count / 4)).collect();
    let whole = clients.into_iter().all(|mut client| client.wait().is_ok_and(|end| end.success()));
    let crashed = site.log.text().matches("AH00052").count();
    verdict.bound(
        format!("{count} resets in {:.1?}, {crashed} children were ended by a signal", begun.elapsed()),
        whole && crashed == 0,
    );
    verdict.bound("who was there before still is", witness.iter_mut().all(echoes));
    let mut stream = TcpStream::connect(("127.0.0.1", site.port())).expect("a connection");
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("a request");
    let mut answer = String::new();
    let is_served = stream.read_to_string(&mut answer).is_ok() && answer.ends_with("hello");
    verdict.bound("requests are served", is_served);
    site.finish();
}

/// Restarts, in which everybody is told to come again.
fn restarts(count: usize, verdict: &mut Verdict) {
    let mut site = site(3 * KEPT, "ws-graceful-timeout=2 graceful-timeout=5", "");
    let load = Load::start(&site, "/", 2);
    let (mut told, mut lost) = (0, 0);
    for _ in 0..count {
        let mut sockets: Vec<_> = (0..KEPT).map(|_| WebSocket::open(site.port(), "/")).collect();
        let generation = site.log.text().matches("configured -- resuming").count();
        site.signal(libc::SIGUSR1);
        for socket in &mut sockets {
            match socket.message() {
                Some((CLOSE, code)) if code.starts_with(&1012u16.to_be_bytes()) => told += 1,
                _ => lost += 1,
            }
            socket.send_bytes(&frame(0x80 | CLOSE, &1012u16.to_be_bytes())).unwrap_or_default();
        }
        let _ = eventually(Duration::from_secs(20), || {
            (site.log.text().matches("configured -- resuming").count() >= generation).then_some(())
        });
    }
    let outcomes = load.stop();
    let failed: Vec<_> = outcomes.iter().filter_map(harness::Outcome::failure).collect();
    let crashed = site.log.text().matches("AH00052").count();
    verdict.bound(
        format!("{count} graceful restarts with {KEPT} each: {told} were told 1012, {lost} lost"),
        lost == 0 && crashed == 0,
    );
    verdict
        .bound(format!("{} requests meanwhile, {} failed {failed:?}", outcomes.len(), failed.len()), failed.is_empty());
    site.finish();
}
