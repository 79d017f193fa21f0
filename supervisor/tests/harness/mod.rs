//! The Apache parent's side of a supervisor, and daemons that are not real.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recv,
    sendmsg, socketpair,
};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use wsgi_wire::codec::Wire;
use wsgi_wire::control::{Configure, Group, Outcome, Restart, Restarted, Spawn};
use wsgi_wire::frame::{self, Kind};
use wsgi_wire::limits;
use wsgi_wire::record::{Format, Level, LocalTime};
use wsgi_wire::report::GroupRecord;
use wsgi_wire::settings::{Daemon, Server};
use wsgi_wire::table::{self, SLOTS, State};
use wsgi_wire::text;

const PARENT: u32 = 4711;

/// A running supervisor with its table, its log and a directory of its own.
pub struct Supervised {
    pub dir: TempDir,
    child: Child,
    control: Option<UnixStream>,
    memory: Memory,
    generation: u32,
    /// Both ends of the socket for records.
    records: [OwnedFd; 2],
    /// The thread that writes records answers here whenever it comes across [`MARK`].
    written: Receiver<()>,
}

/// What stands between the records of a supervisor for the thread that writes them; no record is as short.
const MARK: &[u8] = b"-";

/// What Apache and its supervisor share.
pub struct Memory {
    table: File,
    /// The pages of each group.
    pages: HashMap<Vec<u8>, File>,
}

impl Memory {
    pub fn new() -> Self {
        Self { table: memory(table::SIZE), pages: HashMap::new() }
    }

    /// As if a supervisor had started a process and died: its group, pid and when it began.
    pub fn occupy(&self, slot: usize, group: &[u8], pid: u32, born: u64) {
        let mut entry = Vec::new();
        [State::Ready as u32, pid, 1, 1].iter().for_each(|number| entry.extend(number.to_ne_bytes()));
        [table::group_key(group), 1, 1, born].iter().for_each(|number| entry.extend(number.to_ne_bytes()));
        self.table.write_all_at(&entry, table::entry_offset(slot) as u64).unwrap();
    }
}

fn memory(size: usize) -> File {
    File::from(wsgi_unix::shared_memory::create(c"test", size).unwrap())
}

impl Supervised {
    pub fn start() -> Self {
        Self::start_with(tempfile::tempdir().unwrap(), Memory::new())
    }

    /// With the memory that another supervisor has used.
    pub fn start_with(dir: TempDir, memory: Memory) -> Self {
        for directory in ["facts", "run", "home/bin"] {
            fs::create_dir_all(dir.path().join(directory)).unwrap();
        }
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(dir.path().join("facts"), fs::Permissions::from_mode(0o777)).unwrap();
        let python = dir.path().join("home/bin/python");
        let daemon = dir.path().join("fake_daemon.py");
        fs::write(&daemon, include_str!("fake_daemon.py")).unwrap();
        fs::write(&python, format!("#!/bin/sh\nexec /usr/bin/env python3 {} \"$@\"\n", daemon.display())).unwrap();
        fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();

        let (ours, theirs) = UnixStream::pair().unwrap();
        let log = File::create(dir.path().join("supervisor.log")).unwrap();
        let child = Command::new("/bin/sh")
            // Safe code can only set descriptors 0 to 2, so a shell moves them.
            .args([
                "-c",
                "umask 022; ulimit -Sn 700; trap '' PIPE USR2; exec \"$0\" 3<&0 4<&1 0</dev/null 1>&2 7</etc/passwd 9</etc/passwd",
            ])
            .arg(env!("CARGO_BIN_EXE_mod_wsgi-supervisor"))
            .envs([("ASKED_FOR", "1"), ("ROOTS_SECRET", "2"), ("NOTIFY_SOCKET", "/run/3"), ("TZ", "UTC")])
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(memory.table.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let (records, apache) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        let directory = dir.path().to_owned();
        let apaches = apache.try_clone().unwrap();
        let (written, seen) = channel();
        std::thread::spawn(move || write_records(&apaches, &directory, &written));
        Self { dir, child, control: Some(ours), memory, generation: 0, records: [records, apache], written: seen }
    }

    /// A group whose daemons are the fake one.
    pub fn group(&self, name: &str, processes: u32) -> Group {
        let path = |name: &str| self.dir.path().join(name).to_str().unwrap().into();
        Group {
            processes,
            spawn: Spawn {
                identity: None,
                chroot: None,
                home: None,
                umask: None,
                nice: None,
                limits: vec![],
                env: vec![("FACTS".into(), path("facts"))],
                env_files: vec![],
                pass_env: vec![],
                new_privileges: false,
                python_home: Some(path("home")),
                python_home_from: "python-home".to_owned(),
                python_flags: vec!["-B".into()],
                package: Some("/the/package".into()),
                socket_user: None,
                backlog: 100,
                send_buffer: 0,
                receive_buffer: 0,
            },
            daemon: daemon(name),
        }
    }

    pub fn configure(&mut self, groups: Vec<Group>) {
        self.generation += 1;
        let log = File::options().create(true).append(true).open(self.dir.path().join("main.log")).unwrap();
        let message = Configure {
            export: None,
            generation: self.generation,
            log_level: Level::Info,
            log_format: Format::Text,
            vhost: "localhost".into(),
            socket_prefix: self.dir.path().join("run/wsgi").to_str().unwrap().to_owned(),
            parent: PARENT,
            children: None,
            groups,
        };
        let mut data = Vec::new();
        frame::put(&mut data, Kind::Configure, |out| message.put(out)).unwrap();
        let control = self.control.as_ref().unwrap();
        for group in &message.groups {
            self.memory.pages.entry(group.daemon.group.to_vec()).or_insert_with(|| memory(table::PAGES));
        }
        let pages = message.groups.iter().map(|group| self.memory.pages[group.daemon.group.as_ref()].as_fd());
        let fds: Vec<_> =
            [log.as_fd(), self.records[0].as_fd(), self.records[1].as_fd()].into_iter().chain(pages).collect();
        let (first, rest) = data.split_at(1);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(100))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        assert!(ancillary.push(SendAncillaryMessage::ScmRights(&fds)));
        sendmsg(control, &[IoSlice::new(first)], &mut ancillary, SendFlags::empty()).unwrap();
        (&*control).write_all(rest).unwrap();
    }

    pub fn send_stop(&self) {
        self.send(Kind::Stop);
    }

    /// Sends a message without a payload.
    pub fn send(&self, kind: Kind) {
        let mut data = Vec::new();
        frame::put(&mut data, kind, |_| {}).unwrap();
        self.control.as_ref().unwrap().write_all(&data).unwrap();
    }

    /// Asks for a restart as an administrator does; what becomes of each group.
    pub fn restart(&self, group: Option<&str>) -> Vec<(String, Outcome)> {
        let path = table::control_path(self.dir.path().join("run/wsgi").to_str().unwrap(), PARENT);
        let mut stream = UnixStream::connect(path).unwrap();
        let (mut message, mut answer) = (Vec::new(), Vec::new());
        let restart = Restart { group: group.map(Into::into) };
        frame::put(&mut message, Kind::Restart, |out| restart.put(out)).unwrap();
        stream.write_all(&message).unwrap();
        stream.read_to_end(&mut answer).unwrap();
        let mut news = Vec::new();
        while let Some(frame) = frame::first(&answer).unwrap() {
            let Restarted { group, outcome } = Restarted::from_bytes(frame.payload).unwrap();
            news.push((String::from_utf8(group.0).unwrap(), outcome));
            let size = frame.size();
            answer.drain(..size);
        }
        news
    }

    pub fn send_nonsense(&self) {
        self.control.as_ref().unwrap().write_all(&[1, 0, 0, 0, Kind::Configure as u8, 0, 0, 0, 77]).unwrap();
    }

    /// As if the Apache parent had died.
    pub fn hang_up(&mut self) {
        self.control = None;
    }

    /// Kills the supervisor itself; the memory and the directory are left.
    pub fn kill(mut self) -> (TempDir, Memory) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let dir = std::mem::replace(&mut self.dir, tempfile::tempdir().unwrap());
        // The daemons live on.
        (dir, std::mem::replace(&mut self.memory, Memory::new()))
    }

    /// Waits for the end; the exit code.
    pub fn wait(&mut self) -> Option<i32> {
        eventually("the supervisor ends", || self.child.try_wait().unwrap());
        self.child.wait().unwrap().code()
    }

    pub fn supervisor_pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        send(self.child.id(), signal);
    }

    /// Daemons of which the table says that they are there, by slot.
    pub fn pids(&self) -> Vec<u32> {
        let taken = (0..SLOTS).filter(|slot| self.number(*slot, 0) != State::Free as u32);
        taken.map(|slot| self.number(slot, 4)).filter(|pid| *pid != 0).collect()
    }

    /// Waits until exactly `count` daemons are there, all of which have reported for duty.
    pub fn running(&self, count: usize) -> Vec<u32> {
        eventually(&format!("{count} daemons run"), || {
            let pids = self.pids();
            (pids.len() == count && pids.iter().all(|pid| self.facts_file(*pid).exists())).then_some(pids)
        })
    }

    /// Waits until exactly `count` daemons take requests.
    pub fn ready(&self, count: usize) -> Vec<u32> {
        eventually(&format!("{count} daemons take requests"), || {
            let ready = (0..SLOTS).filter(|slot| self.number(*slot, 0) == State::Ready as u32);
            let pids: Vec<u32> = ready.map(|slot| self.number(slot, 4)).collect();
            (pids.len() == count).then_some(pids)
        })
    }

    /// What the table says of all slots in use.
    pub fn states(&self) -> Vec<State> {
        let states = (0..SLOTS).filter_map(|slot| State::try_from(self.number(slot, 0) as u8).ok());
        states.filter(|state| *state != State::Free).collect()
    }

    /// Lets daemons become ready that behave as `held`.
    pub fn release(&self) {
        fs::write(self.dir.path().join("released"), "").unwrap();
    }

    /// Takes the [`release`](Self::release) back.
    pub fn hold(&self) {
        fs::remove_file(self.dir.path().join("released")).unwrap();
    }

    /// Whether daemons that are started from now on can load their scripts.
    pub fn break_scripts(&self, broken: bool) {
        let file = self.dir.path().join("broken");
        if broken { fs::write(file, "").unwrap() } else { fs::remove_file(file).unwrap() }
    }

    fn number(&self, slot: usize, field: usize) -> u32 {
        let mut bytes = [0; 4];
        self.memory.table.read_exact_at(&mut bytes, (table::entry_offset(slot) + field) as u64).unwrap();
        u32::from_ne_bytes(bytes)
    }

    fn facts_file(&self, pid: u32) -> PathBuf {
        self.dir.path().join("facts").join(pid.to_string())
    }

    /// What a daemon wrote down about itself, as JSON text.
    pub fn facts(&self, pid: u32) -> String {
        fs::read_to_string(self.facts_file(pid)).unwrap()
    }

    /// How many daemons have ever reported for duty.
    pub fn started(&self) -> usize {
        self.dir.path().join("facts").read_dir().unwrap().count()
    }

    pub fn sockets(&self) -> usize {
        let names = self.dir.path().join("run").read_dir().unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| !name.to_str().unwrap().contains(".control.")).count()
    }

    /// All that has been said until now.
    pub fn log(&self) -> String {
        self.wait_until_written();
        ["supervisor.log", "main.log", "group.log"].map(|name| read(&self.dir.path().join(name))).concat()
    }

    /// Waits until each record stands in its file that the supervisor has sent before.
    fn wait_until_written(&self) {
        // The thread has failed itself where that cannot be.
        if rustix::net::send(&self.records[0], MARK, SendFlags::empty()).is_ok() {
            let _ = self.written.recv();
        }
    }

    /// What the supervisor itself says.
    pub fn own_records(&self) -> String {
        let log = self.log();
        log.split_inclusive('\n').filter(|line| !line.contains("] [daemon ")).collect()
    }

    /// What has been said until now about groups.
    pub fn group_log(&self) -> String {
        self.wait_until_written();
        read(&self.dir.path().join("group.log"))
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        for pid in self.pids().into_iter().filter(|pid| is_alive(*pid)) {
            send(pid, Signal::KILL);
        }
        if std::thread::panicking() {
            eprintln!("supervisor's log:\n{}\ngroup's log:\n{}", self.log(), self.group_log());
        }
    }
}

/// What an Apache child does with records, more or less.
fn write_records(socket: &OwnedFd, directory: &Path, written: &Sender<()>) {
    let mut buffer = vec![0; limits::LOG_MESSAGE];
    let at = LocalTime::at(Duration::from_secs(1_767_225_600), 0);
    while let Ok((_, length @ 1..)) = recv(socket, &mut buffer[..], RecvFlags::empty()) {
        if &buffer[..length] == MARK {
            // The test may have ended.
            let _ = written.send(());
            continue;
        }
        let record = GroupRecord::from_bytes(&buffer[..length]).unwrap();
        let name = if record.group.is_empty() { "main.log" } else { "group.log" };
        let lines = text::lines(at, &record.said.record, &record.prefix());
        // The test may have ended, and its directory with it.
        if let Ok(mut log) = File::options().create(true).append(true).open(directory.join(name)) {
            log.write_all(lines.as_bytes()).unwrap();
        }
    }
}

fn daemon(name: &str) -> Daemon {
    Daemon {
        group: name.into(),
        apache: std::process::id(),
        processes: 1,
        threads: 5,
        shutdown_timeout: 1,
        graceful_timeout: 5,
        interpreter_limit: wsgi_wire::limits::INTERPRETERS,
        destroy_interpreter: true,
        case_sensitive: true,
        vhost: "localhost".into(),
        server: Server { maximum_processes: 1, threads_per_process: 1, ..Server::default() },
        ..Daemon::default()
    }
}

/// Waits for what `check` is looking for, up to a minute.
pub fn eventually<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    // A machine that is busy with many tests takes long to start an interpreter.
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = check() {
            return found;
        }
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub fn send(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid as i32).unwrap(), signal).unwrap();
}

/// Whether the process is there and no zombie.
pub fn is_alive(pid: u32) -> bool {
    let stat = read(Path::new(&format!("/proc/{pid}/stat")));
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

fn read(path: &Path) -> String {
    let mut text = String::new();
    if let Ok(mut file) = File::open(path) {
        file.read_to_string(&mut text).unwrap();
    }
    text
}
