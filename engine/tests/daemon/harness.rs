//! A daemon process as the supervisor would start it, and an Apache child as it would talk to it.

mod python;

use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use wsgi_wire::codec::{Bytes, Wire};
use wsgi_wire::control::{Reason, Retiring};
use wsgi_wire::frame::{self, Kind};
use wsgi_wire::interface::Interface;
use wsgi_wire::names::Name;
use wsgi_wire::record::{Level, LogRecord};
use wsgi_wire::recorder;
use wsgi_wire::report::ProcessRecord;
use wsgi_wire::request::{Body, Facts, Hello, Purpose, Rules, put_request, put_route};
use wsgi_wire::response::{End, Fail, File, Head};
use wsgi_wire::settings::{Daemon, Server};
use wsgi_wire::table::PAGES;

pub use python::Python;

pub const SECRET: u64 = 99;

/// How long anything may take, under valgrind on a machine that has other things to do, too.
const TIMEOUT: Duration = Duration::from_secs(120);

const RULES: Rules =
    Rules { reloading: true, ignore_activity: false, log_level: Level::Debug, interface: Interface::Wsgi };

/// A process that serves one script.
pub struct Process {
    child: Child,
    control: UnixStream,
    directory: PathBuf,
    /// The supervisor's end of the socket for records, and what has come there.
    records: OwnedFd,
    said: Arc<Mutex<String>>,
}

/// Settings that a group without options has.
pub fn settings() -> Daemon {
    Daemon {
        group: Bytes::from("test"),
        secret: SECRET,
        generation: 1,
        apache: std::process::id(),
        processes: 1,
        threads: 3,
        shutdown_timeout: 5,
        deadlock_timeout: 300,
        graceful_timeout: 15,
        interpreter_limit: wsgi_wire::limits::INTERPRETERS,
        destroy_interpreter: true,
        case_sensitive: true,
        vhost: "example.test".into(),
        server: Server {
            version: (2, (4, 62)),
            description: "Apache/2.4.62".into(),
            mpm: "event".into(),
            built: "today".into(),
            maximum_processes: 1,
            threads_per_process: 16,
        },
        ..Daemon::default()
    }
}

/// The engine that cargo has built for this test.
fn engine() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.with_file_name("lib_engine.so")
}

impl Python {
    /// Starts a process with this script and waits until it is ready.
    pub fn start(&self, name: &str, script: &str, change: impl FnOnce(&mut Daemon)) -> Process {
        Process::start_with(self, name, script, change)
    }
}

impl Process {
    /// Starts a process with this script and waits until it is ready.
    pub fn start(name: &str, script: &str, change: impl FnOnce(&mut Daemon)) -> Self {
        Python::usual().start(name, script, change)
    }

    fn start_with(python: &Python, name: &str, script: &str, change: impl FnOnce(&mut Daemon)) -> Self {
        let directory = std::env::temp_dir().join(format!("wsgi-engine-{}-{name}-{python}", std::process::id()));
        std::fs::create_dir_all(directory.join("mod_wsgi")).unwrap();
        std::fs::write(directory.join("mod_wsgi/__init__.py"), "").unwrap();
        std::fs::copy(engine(), directory.join("mod_wsgi/_engine.abi3.so")).unwrap();
        std::fs::write(directory.join("app.wsgi"), script).unwrap();
        let listener = UnixListener::bind(directory.join("socket")).unwrap();
        let pages = rustix::fs::memfd_create("pages", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        rustix::fs::ftruncate(&pages, PAGES as u64).unwrap();
        let (control, theirs) = UnixStream::pair().unwrap();
        let mut settings = settings();
        change(&mut settings);
        let recorder = rustix::fs::memfd_create("recorder", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        rustix::fs::ftruncate(&recorder, recorder::size(settings.threads) as u64).unwrap();
        let (records, theirs_for_records) = rustix::net::socketpair(
            rustix::net::AddressFamily::UNIX,
            rustix::net::SocketType::SEQPACKET,
            rustix::net::SocketFlags::CLOEXEC,
            None,
        )
        .unwrap();
        let descriptors = [theirs.into(), listener.into(), pages, recorder, theirs_for_records];
        let mut child = spawn(&python.program, &directory, descriptors);
        let said = Arc::default();
        std::thread::spawn({
            let (records, said) = (records.try_clone().unwrap(), Arc::clone(&said));
            move || write_down(&records, &said)
        });
        let mut process = Self { child: spawn_guard(&mut child), control, directory, records, said };
        process.say(Kind::Start, |out| settings.put(out));
        process.expect(Kind::Ready);
        process
    }

    /// Sends the daemon a message.
    pub fn say(&mut self, kind: Kind, write: impl FnOnce(&mut Vec<u8>)) {
        let mut message = Vec::new();
        frame::put(&mut message, kind, write).unwrap();
        self.control.write_all(&message).unwrap();
    }

    /// Waits for this message of the daemon; its payload.
    pub fn expect(&mut self, kind: Kind) -> Vec<u8> {
        self.control.set_read_timeout(Some(TIMEOUT)).unwrap();
        let (found, payload) = receive(&mut self.control);
        assert_eq!(found, kind);
        payload
    }

    /// Tells the daemon to end.
    pub fn stop(&mut self) {
        self.say(Kind::Stop, |_| {});
    }

    /// Why the daemon asks to be replaced, and whether its requests wait for that. It has named its script before.
    pub fn expect_retiring(&mut self) -> (Reason, bool) {
        self.control.set_read_timeout(Some(TIMEOUT)).unwrap();
        loop {
            let (kind, payload) = receive(&mut self.control);
            if kind != Kind::Loaded {
                assert_eq!(kind, Kind::Retiring);
                let Retiring { reason, holds } = Retiring::from_bytes(&payload).unwrap();
                return (reason, holds);
            }
        }
    }

    /// The daemon's pid.
    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// The script's path.
    pub fn script(&self) -> PathBuf {
        self.directory.join("app.wsgi")
    }

    /// A new connection on which nothing has been said.
    pub fn connect_bare(&self) -> UnixStream {
        let stream = UnixStream::connect(self.directory.join("socket")).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream
    }

    /// A new connection that has introduced itself and announced the route.
    pub fn connect(&self) -> Connection {
        let mut connection = Connection { stream: self.connect_bare(), queued: Vec::new() };
        connection.put(Kind::Hello, |out| Hello { version: wsgi_wire::VERSION, secret: SECRET }.put(out));
        connection.announce(0, self.script().to_str().unwrap(), "");
        connection
    }

    /// What Apache children say in some whole exchanges, from their greeting on.
    pub fn exchanges(&self) -> Vec<Vec<u8>> {
        let facts = Facts { request_start: 1_000_000, queue_start: 2_000_000, connects: 1, ..Facts::default() };
        let request = |path: &str, body: Body<'_>, pieces: &[&[u8]]| {
            let mut connection = self.connect();
            connection.put(Kind::Request, |out| {
                put_request(out, &facts, Purpose::Response(body), |writer| {
                    writer.push(Name::of(b"REQUEST_METHOD"), b"POST");
                    writer.push(Name::of(b"PATH_INFO"), path.as_bytes());
                    writer.push(Name::of(b"HTTP_X_ODD"), b"\xff");
                });
            });
            pieces.iter().for_each(|piece| connection.put(Kind::Body, |out| out.extend_from_slice(piece)));
            connection.put(Kind::BodyEnd, |_| {});
            connection.queued
        };
        let plain = request("/", Body::None, &[]);
        vec![
            request("/read", Body::Inline(b"some content"), &[]),
            request("/read", Body::Pull(Some(6)), &[b"abc", b"def"]),
            request("/read", Body::Pull(None), &[b"abc"]),
            request("/file", Body::None, &[]),
            request("/fail", Body::None, &[]),
            request("/print", Body::None, &[]),
            [&plain[..plain.len() - frame::HEADER], &plain[plain.len() / 2..]].concat(),
            plain,
        ]
    }

    /// Sends this on a connection of its own, and reads until the process closes it.
    pub fn exchange(&self, stream: &[u8]) {
        let mut connection = UnixStream::connect(self.directory.join("socket")).unwrap();
        connection.set_read_timeout(Some(TIMEOUT)).unwrap();
        // The process may have had enough before it has read all of it.
        let _ = connection.write_all(stream);
        let _ = connection.shutdown(std::net::Shutdown::Write);
        let mut buffer = [0; 1 << 16];
        loop {
            match connection.read(&mut buffer) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) => {
                    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "the process has let go of it");
                    return;
                }
            }
        }
    }

    /// Reads what the daemon tells the supervisor, so that it need not wait.
    pub fn ignore_news(&self) {
        let mut control = self.control.try_clone().unwrap();
        control.set_read_timeout(None).unwrap();
        std::thread::spawn(move || std::io::copy(&mut control, &mut std::io::sink()));
    }

    /// What the process has written on standard error so far, and the records that it has sent the supervisor.
    pub fn log(&self) -> String {
        while rustix::io::ioctl_fionread(&self.records).unwrap() > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        // Whoever has taken the last one writes it down.
        std::thread::sleep(Duration::from_millis(20));
        std::fs::read_to_string(self.directory.join("log")).unwrap() + &self.said.lock().unwrap()
    }

    /// Waits until the process has written this on standard error.
    pub fn says(&self, text: &str) {
        let end = Instant::now() + TIMEOUT;
        while !self.log().contains(text) {
            assert!(Instant::now() < end, "the process does not say {text:?}: {}", self.log());
        }
    }

    /// Waits for the process to end by itself.
    pub fn wait(&mut self) -> std::process::ExitStatus {
        for _ in 0..TIMEOUT.as_millis() / 50 {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the process does not end: {}", self.log());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Takes records as the supervisor does.
fn write_down(records: &OwnedFd, said: &Mutex<String>) {
    let mut buffer = vec![0; wsgi_wire::limits::LOG_MESSAGE];
    while let Ok((_, length @ 1..)) = rustix::net::recv(records, &mut buffer[..], rustix::net::RecvFlags::empty()) {
        let record = ProcessRecord::from_bytes(&buffer[..length]).unwrap().record;
        for text in wsgi_wire::text::texts(&record) {
            let text = String::from_utf8_lossy(&text);
            *said.lock().unwrap() += &format!("[wsgi:{}] {text}\n", record.level.name());
        }
    }
}

fn spawn_guard(child: &mut Option<Child>) -> Child {
    child.take().unwrap()
}

fn spawn(python: &Path, directory: &Path, descriptors: [OwnedFd; 5]) -> Option<Child> {
    // The shell puts the descriptors in their places; that they survive its own exec is all that has to be arranged
    // here.
    let mut places = String::new();
    for (place, fd) in (3..).zip(&descriptors) {
        rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty()).unwrap();
        places += &format!(" {}<&{}", place + 100, fd.as_raw_fd());
    }
    let script = "import mod_wsgi._engine; mod_wsgi._engine.run()";
    let command = format!("exec{places}; exec {} -c '{script}' 3<&103 4<&104 5<&105 6<&106 7<&107", python.display());
    let log = std::fs::File::create(directory.join("log")).unwrap();
    let child = Command::new("bash")
        .args(["-c", &command])
        .env("PYTHONPATH", directory)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn();
    Some(child.unwrap())
}

fn receive(stream: &mut UnixStream) -> (Kind, Vec<u8>) {
    let mut header = [0; frame::HEADER];
    stream.read_exact(&mut header).unwrap();
    let mut data = header.to_vec();
    data.resize(frame::needed(&header), 0);
    stream.read_exact(&mut data[frame::HEADER..]).unwrap();
    let frame = frame::first(&data).unwrap().unwrap();
    (frame.kind, frame.payload.to_vec())
}

/// A connection as an Apache child has it.
pub struct Connection {
    stream: UnixStream,
    queued: Vec<u8>,
}

/// What came back for one request.
#[derive(Debug, Default)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub records: Vec<(Level, String)>,
    pub end: Option<End>,
    pub failed: Option<u16>,
    pub rejected: bool,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }
}

impl Connection {
    fn put(&mut self, kind: Kind, write: impl FnOnce(&mut Vec<u8>)) {
        frame::put(&mut self.queued, kind, write).unwrap();
    }

    fn flush(&mut self) {
        self.stream.write_all(&self.queued).unwrap();
        self.queued.clear();
    }

    /// Announces a route under this number.
    pub fn announce(&mut self, id: u16, script: &str, group: &str) {
        self.put(Kind::Route, |out| {
            id.put(out);
            put_route(out, script.as_bytes(), group.as_bytes(), b"application", RULES, |vars| {
                vars.push(Name::of(b"SERVER_NAME"), b"example.test");
                vars.push(Name::of(b"SCRIPT_NAME"), b"");
                vars.push(Name::of(b"SERVER_PROTOCOL"), b"HTTP/1.1");
            });
        });
    }

    /// Sends a request with these variables.
    pub fn send(&mut self, route: u16, vars: &[(&str, &str)], body: Body<'_>) {
        let facts = Facts { route, request_start: 1_000_000, queue_start: 2_000_000, connects: 1, ..Facts::default() };
        self.put(Kind::Request, |out| {
            put_request(out, &facts, Purpose::Response(body), |writer| {
                writer.push(Name::of(b"REQUEST_METHOD"), b"GET");
                for (name, value) in vars {
                    writer.push(Name::of(name.as_bytes()), value.as_bytes());
                }
            });
        });
        self.flush();
    }

    /// A request for a path, without a body.
    pub fn get(&mut self, path: &str) -> Answer {
        self.send(0, &[("PATH_INFO", path), ("mod_wsgi.request_id", "id-1")], Body::None);
        self.answer(&mut [].into_iter())
    }

    /// The answer to the last request; every `Pull` gets the next piece.
    pub fn answer(&mut self, pieces: &mut dyn Iterator<Item = Vec<u8>>) -> Answer {
        let mut answer = Answer::default();
        loop {
            let (kind, payload) = receive(&mut self.stream);
            match kind {
                Kind::Log => {
                    let record = LogRecord::from_bytes(&payload).unwrap();
                    answer.records.push((
                        record.level,
                        String::from_utf8_lossy(&wsgi_wire::text::texts(&record).concat()).into_owned(),
                    ));
                }
                Kind::Head => {
                    let head = Head::decode(&payload).unwrap();
                    answer.status = head.status;
                    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                    answer.headers = head.headers.map(Result::unwrap).map(|(n, v)| (text(n), text(v))).collect();
                }
                Kind::Data => answer.body.extend_from_slice(&payload),
                // As with a file: the memory is not looked at here; the length is.
                Kind::Ring => {}
                Kind::Filled => {
                    let length = u32::from_bytes(&payload).unwrap() as usize;
                    answer.body.resize(answer.body.len() + length, b'R');
                }
                Kind::File => {
                    // The descriptor is not looked at here; the length is.
                    let file = File::from_bytes(&payload).unwrap();
                    answer.body.resize(answer.body.len() + file.length as usize, b'F');
                }
                Kind::Pull => {
                    match pieces.next() {
                        Some(piece) => self.put(Kind::Body, |out| out.extend_from_slice(&piece)),
                        None => self.put(Kind::BodyEnd, |_| {}),
                    }
                    self.flush();
                }
                Kind::End => answer.end = Some(End::from_bytes(&payload).unwrap()),
                Kind::Fail => answer.failed = Some(Fail::from_bytes(&payload).unwrap().status),
                Kind::Reject => answer.rejected = true,
                kind => panic!("{kind:?} is nothing that a daemon sends"),
            }
            if answer.end.is_some() || answer.failed.is_some() || answer.rejected {
                return answer;
            }
        }
    }
}
