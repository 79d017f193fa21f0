//! The command `mod_wsgi-express`.

use crate::command::{Finished, run};
use crate::control::Control;
use crate::foreground::Foreground;
use crate::passing::passing;
use crate::ports::free_port;
use crate::processes::{MARKER, ORDINARY_USER, as_user, is_root};
use crate::product::product;
use crate::scratch::Scratch;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One command line to be run.
pub struct Express {
    scratch: Scratch,
    words: Vec<String>,
    directory: PathBuf,
    user: Option<String>,
    environment: Vec<(String, String)>,
    port: u16,
    root_name: String,
    typed: Option<PathBuf>,
    passed: Vec<OwnedFd>,
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
            directory: scratch.path().to_path_buf(),
            user: None,
            environment: Vec::new(),
            port: free_port(),
            root_name: "root".to_owned(),
            typed: None,
            passed: Vec::new(),
            scratch,
        }
    }

    /// Sets the current directory; a new empty one otherwise.
    #[must_use]
    pub fn within(mut self, directory: &Path) -> Self {
        self.directory = directory.to_path_buf();
        self
    }

    /// Runs the command as an ordinary user. Who is not root stays who they are.
    #[must_use]
    pub fn as_ordinary_user(mut self) -> Self {
        self.user = Some(ORDINARY_USER.to_owned());
        self
    }

    /// Chooses the port; a free one otherwise. With 0 the command chooses it.
    #[must_use]
    pub fn on_port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Chooses the name of the server root's directory.
    #[must_use]
    pub fn in_root_named(mut self, name: &str) -> Self {
        self.root_name = name.to_owned();
        self
    }

    /// Chooses what the server reads from its standard input; nothing otherwise.
    #[must_use]
    pub fn typing(mut self, text: &str) -> Self {
        self.typed = Some(self.scratch.write("typed.txt", text));
        self
    }

    /// Passes a socket to the server, as systemd does; may be repeated.
    #[must_use]
    pub fn passing(mut self, socket: impl Into<OwnedFd>) -> Self {
        self.passed.push(socket.into());
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
        let (mut command, server_root) = (self.command(), self.server_root());
        command.stdin(
            self.typed.as_ref().map_or_else(Stdio::null, |file| File::open(file).expect("what is typed").into()),
        );
        Foreground::start(command, self.scratch, server_root, self.port)
    }

    /// Runs `setup-server` with [`with_place`](Self::with_place), which must succeed.
    #[must_use]
    pub fn set_up(self) -> Control {
        let ready = self.with_place();
        ready.give_scratch_away();
        let done = run(&mut ready.command(), ready.scratch.path());
        assert_eq!(done.code, Some(0), "{}", done.text);
        let server_root = ready.server_root();
        Control::new(ready.scratch, server_root, ready.port)
    }

    fn with_words(mut self, words: &[&str]) -> Self {
        self.words.extend(words.iter().copied().map(String::from));
        self
    }

    fn server_root(&self) -> PathBuf {
        self.scratch.path().join(&self.root_name)
    }

    /// What the command would put into the user's own directories goes into this test's.
    fn command(&self) -> Command {
        let mut command = as_user(self.user.as_deref(), &self.words[0]);
        command.args(&self.words[1..]).current_dir(&self.directory);
        let own = self.scratch.path();
        command.env("HOME", own).env("TMPDIR", own).env(MARKER, own);
        command.env_remove("XDG_STATE_HOME").env_remove("XDG_RUNTIME_DIR");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        passing(command, self.passed.iter().map(|socket| socket.try_clone().expect("a descriptor")).collect())
    }

    fn give_scratch_away(&self) {
        if let Some(user) = self.user.as_deref().filter(|_| is_root()) {
            self.scratch.give_to(user);
        }
    }
}
