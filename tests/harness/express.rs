//! The command `mod_wsgi-express`: runs that end by themselves, servers in the foreground, and server roots with an `apachectl`.

use crate::httpd::{free_port, in_new_session};
use crate::hygiene;
use crate::logs::Log;
use crate::processes::{self, MARKER, ORDINARY_USER, as_user, is_root, kill};
use crate::product::product;
use crate::raw::Client;
use crate::request::Site;
use crate::scratch::Scratch;
use crate::wait::eventually;
use std::fs::File;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// Longest time for a start, a stop or a run that should end by itself.
const DEADLINE: Duration = Duration::from_secs(30);

/// One command line to be run.
pub struct Express {
    scratch: Scratch,
    words: Vec<String>,
    folder: PathBuf,
    user: Option<String>,
    environment: Vec<(String, String)>,
    port: u16,
    root_name: String,
}

/// How a command ended.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code; `None` when it had to be stopped or a signal ended it.
    pub code: Option<i32>,
    /// All that it wrote, both streams.
    pub text: String,
}

/// A server in the foreground, as `start-server` runs it. Out of scope it is stopped, and the test fails when it left
/// something behind.
pub struct Foreground {
    scratch: Scratch,
    server_root: PathBuf,
    child: Option<Child>,
    leader: u32,
    port: u16,
    /// Everything that the command and its server wrote to the terminal.
    pub console: Log,
}

/// A server root that `setup-server` made, driven by the `apachectl` in it.
pub struct Control {
    scratch: Scratch,
    server_root: PathBuf,
    port: u16,
    /// The error log.
    pub log: Log,
}

impl Express {
    /// `mod_wsgi-express` with these words.
    #[must_use]
    pub fn new(words: &[&str]) -> Self {
        Self::program(&product().express().display().to_string(), words)
    }

    /// Another program that takes the same options, such as `python manage.py runmodwsgi`.
    #[must_use]
    pub fn program(program: &str, words: &[&str]) -> Self {
        let scratch = Scratch::new();
        Self {
            words: std::iter::once(program).chain(words.iter().copied()).map(String::from).collect(),
            folder: scratch.path().to_path_buf(),
            user: None,
            environment: Vec::new(),
            port: free_port(),
            root_name: "root".to_owned(),
            scratch,
        }
    }

    /// Sets the current folder; a new empty one otherwise.
    #[must_use]
    pub fn within(mut self, folder: &Path) -> Self {
        self.folder = folder.to_path_buf();
        self
    }

    /// Runs the command as an ordinary user. Who is not root stays who they are.
    #[must_use]
    pub fn as_ordinary_user(mut self) -> Self {
        self.user = Some(ORDINARY_USER.to_owned());
        self
    }

    /// Chooses the port; a free one otherwise.
    #[must_use]
    pub fn on_port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Chooses the name of the server root's folder.
    #[must_use]
    pub fn in_root_named(mut self, name: &str) -> Self {
        self.root_name = name.to_owned();
        self
    }

    /// Adds a variable to the environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds what a test server needs: a free port of 127.0.0.1, a server root of its own, and for root a user.
    #[must_use]
    pub fn with_place(self) -> Self {
        let root = self.server_root().display().to_string();
        self.with_address().with_words(&["--server-root", &root])
    }

    /// Adds only a free port of 127.0.0.1, and for root a user: everything else is the command's own choice.
    #[must_use]
    pub fn with_address(mut self) -> Self {
        let port = self.port.to_string();
        self = self.with_words(&["--host", "127.0.0.1", "--port", &port]);
        if is_root() && self.user.is_none() {
            self.with_words(&["--user", ORDINARY_USER, "--group", ORDINARY_USER])
        } else {
            self
        }
    }

    /// Runs the command to its end, which it should reach by itself.
    #[must_use]
    pub fn run(self) -> Finished {
        self.give_scratch_away();
        run(&mut self.command(), self.scratch.path())
    }

    /// Runs `start-server` with [`with_place`](Self::with_place) and waits until it listens.
    #[must_use]
    pub fn start(self) -> Foreground {
        self.with_place().with_words(&["--log-to-terminal"]).start_as_it_is()
    }

    /// Runs a command that serves at the chosen port, without another word, and waits until it listens.
    #[must_use]
    pub fn start_as_it_is(self) -> Foreground {
        self.give_scratch_away();
        let console = self.scratch.path().join("console.log");
        let output = File::create(&console).expect("a console log");
        let mut command = self.command();
        command.stdin(Stdio::null()).stderr(output.try_clone().expect("a descriptor")).stdout(output);
        let child = in_new_session(&mut command).spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let mut server = Foreground {
            leader: child.id(),
            child: Some(child),
            server_root: self.server_root(),
            port: self.port,
            console: Log::new(console),
            scratch: self.scratch,
        };
        server.wait_until_it_listens();
        server
    }

    /// Runs `setup-server` with [`with_place`](Self::with_place), which must succeed.
    #[must_use]
    pub fn set_up(self) -> Control {
        let ready = self.with_place();
        ready.give_scratch_away();
        let done = run(&mut ready.command(), ready.scratch.path());
        assert_eq!(done.code, Some(0), "{}", done.text);
        let server_root = ready.server_root();
        Control { log: Log::new(server_root.join("error_log")), server_root, port: ready.port, scratch: ready.scratch }
    }

    fn with_words(mut self, words: &[&str]) -> Self {
        self.words.extend(words.iter().copied().map(String::from));
        self
    }

    fn server_root(&self) -> PathBuf {
        self.scratch.path().join(&self.root_name)
    }

    /// What the command would put into the user's own folders goes into this test's.
    fn command(&self) -> Command {
        let mut command = as_user(self.user.as_deref(), &self.words[0]);
        command.args(&self.words[1..]).current_dir(&self.folder);
        let own = self.scratch.path();
        command.env("HOME", own).env("TMPDIR", own).env(MARKER, own);
        command.env_remove("XDG_STATE_HOME").env_remove("XDG_RUNTIME_DIR");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    fn give_scratch_away(&self) {
        if let Some(user) = self.user.as_deref().filter(|_| is_root()) {
            self.scratch.give_to(user);
        }
    }
}

impl Foreground {
    /// The folder that `--server-root` named.
    #[must_use]
    pub fn server_root(&self) -> &Path {
        &self.server_root
    }

    /// Process id of the command, which becomes the Apache parent.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.leader
    }

    /// Stops it as Ctrl-C does and waits for its end; `None` when it had to be killed.
    pub fn stop(&mut self) -> Option<ExitStatus> {
        let child = self.child.as_mut()?;
        kill(self.leader, libc::SIGINT);
        let status = eventually(DEADLINE, || child.try_wait().ok().flatten());
        if status.is_none() {
            hygiene::kill_all(Some(self.leader), self.scratch.path());
            // The killed command has to be reaped; its exit status says nothing.
            let _ = child.wait();
        }
        self.child = None;
        status
    }

    fn wait_until_it_listens(&mut self) {
        let port = self.port;
        let child = self.child.as_mut().expect("it was just started");
        let ready = eventually(DEADLINE, || match child.try_wait() {
            Ok(None) => Client::try_connect(port).ok().map(|_| true),
            _ => Some(false),
        });
        assert!(ready == Some(true), "the server does not listen");
    }
}

impl Site for Foreground {
    fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Foreground {
    fn drop(&mut self) {
        let running = self.child.is_some();
        let stopped = self.stop().is_some() || !running;
        let mut complaints = hygiene::complaints(Some(self.leader), self.scratch.path(), &self.console.text());
        complaints.extend(hygiene::left_in(&self.server_root, is_temporary));
        hygiene::kill_all(Some(self.leader), self.scratch.path());
        if !stopped {
            complaints.insert(0, format!("the server did not stop within {} s", DEADLINE.as_secs()));
        }
        report(&complaints, &self.console);
    }
}

impl Control {
    /// The folder that `--server-root` named.
    #[must_use]
    pub fn server_root(&self) -> &Path {
        &self.server_root
    }

    /// Runs the root's `apachectl` with one word, in an empty environment.
    #[must_use]
    pub fn apachectl(&self, word: &str) -> Finished {
        let mut command = Command::new(self.server_root.join("apachectl"));
        command.arg(word).current_dir("/").env_clear().env(MARKER, self.scratch.path());
        run(&mut command, self.scratch.path())
    }

    /// Process id of the Apache parent, as its pid file has it.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        std::fs::read_to_string(self.server_root.join("httpd.pid")).ok()?.trim().parse().ok()
    }

    /// Whether its port answers.
    #[must_use]
    pub fn listens(&self) -> bool {
        Client::try_connect(self.port).is_ok()
    }

    /// Every living process of this server.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        processes::of_server(None, self.scratch.path())
    }
}

impl Site for Control {
    fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        if let Some(pid) = self.pid() {
            kill(pid, libc::SIGTERM);
            // A server that does not stop in time is one of the complaints below.
            let _ = eventually(DEADLINE, || (!processes::alive(pid)).then_some(()));
        }
        let mut complaints = hygiene::complaints(None, self.scratch.path(), &self.log.text());
        complaints.extend(hygiene::left_in(&self.server_root, is_temporary));
        hygiene::kill_all(None, self.scratch.path());
        report(&complaints, &self.log);
    }
}

/// Runs a command to its end and leaves nothing of it behind, even if it turns out to be a server. `own` is a folder that
/// marks its processes.
#[must_use]
pub fn run(command: &mut Command, own: &Path) -> Finished {
    // A file, because a server that went into the background would keep a pipe open.
    let output = own.join("output.txt");
    let file = File::create(&output).expect("a file for the output");
    command.stdin(Stdio::null()).stderr(file.try_clone().expect("a descriptor")).stdout(file);
    let mut child = in_new_session(command).spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let status = eventually(DEADLINE, || child.try_wait().ok().flatten());
    if status.is_none() {
        hygiene::kill_all(Some(child.id()), own);
        // The killed command has to be reaped; its exit status says nothing.
        let _ = child.wait();
    }
    let text = String::from_utf8_lossy(&std::fs::read(&output).expect("its output")).into_owned();
    Finished { code: status.and_then(|status| status.code()), text }
}

/// Whether a file in a server root belongs to a running server only.
fn is_temporary(path: &Path) -> bool {
    let socket = path.symlink_metadata().is_ok_and(|metadata| metadata.file_type().is_socket());
    socket || path.extension().is_some_and(|extension| extension == "pid" || extension == "lock")
}

fn report(complaints: &[String], log: &Log) {
    if std::thread::panicking() || !complaints.is_empty() {
        eprintln!("--- the server said\n{}---", log.text());
    }
    if !std::thread::panicking() {
        assert!(complaints.is_empty(), "the server left something behind: {complaints:#?}");
    }
}
