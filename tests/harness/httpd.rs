//! A plain Apache with the module, booted for one test.

use crate::apache::{apache, httpd};
use crate::apps;
use crate::census::{Member, census};
use crate::command::{Finished, run};
use crate::conf::{Conf, Mpm};
use crate::hygiene;
use crate::logs::Log;
use crate::parent::Parent;
use crate::passing::passing;
use crate::ports::free_port;
use crate::processes::{self, MARKER};
use crate::product::product;
use crate::request::Site;
use crate::scratch::Scratch;
use crate::terminal::Terminal;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// What a server is to be like; see the example of this crate.
pub struct Builder {
    scratch: Scratch,
    conf: String,
    mpm: Mpm,
    user: Option<String>,
    log_level: String,
    environment: Vec<(String, String)>,
    module_config: String,
    terminal: Option<Terminal>,
    mode: &'static str,
    announced: Vec<String>,
    passed: Vec<OwnedFd>,
}

/// Where [`Httpd::both_modes`] serves its application.
pub const MODES: [&str; 2] = ["/daemon", "/embedded"];

/// A running Apache. Out of scope it is stopped, and the test fails when it left something behind.
pub struct Httpd {
    parent: Parent,
    port: u16,
    /// The error log.
    pub log: Log,
    console: Log,
    /// Closed after its end, which would be one for whoever is there.
    _terminal: Option<Terminal>,
    /// The scratch directory, which is removed last.
    scratch: Scratch,
}

impl Builder {
    /// Adds lines to the configuration; `{root}`, `{apps}` and `{port}` stand for this server's.
    #[must_use]
    pub fn conf(mut self, lines: &str) -> Self {
        self.conf += lines;
        self.conf.push('\n');
        self
    }

    /// Writes an application into the directory `{apps}`.
    #[must_use]
    pub fn app(self, name: &str, source: &str) -> Self {
        self.file(&format!("apps/{name}"), source)
    }

    /// Writes a file below the server's root; `{root}` in its text stands for that directory.
    #[must_use]
    pub fn file(self, name: &str, text: &str) -> Self {
        self.scratch.write(name, text.replace("{root}", &self.scratch.path().display().to_string()));
        self
    }

    /// Chooses the multi-processing module.
    #[must_use]
    pub fn mpm(mut self, mpm: Mpm) -> Self {
        self.mpm = mpm;
        self
    }

    /// Runs the whole Apache as this user, without any of root's rights. Who is not root stays who they are.
    #[must_use]
    pub fn as_user(mut self, user: &str) -> Self {
        self.user = Some(user.to_owned());
        self
    }

    /// Sets `LogLevel`, `info` otherwise.
    #[must_use]
    pub fn log_level(mut self, level: &str) -> Self {
        self.log_level = level.to_owned();
        self
    }

    /// Loads the module by these lines instead of the ones that `module-config` prints.
    #[must_use]
    pub fn module_config(mut self, lines: &str) -> Self {
        self.module_config = lines.to_owned();
        self
    }

    /// Passes a socket to Apache, as systemd does; may be repeated.
    #[must_use]
    pub fn passing(mut self, socket: impl Into<OwnedFd>) -> Self {
        self.passed.push(socket.into());
        self
    }

    /// Adds a variable to the environment that Apache is started in.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs all of Apache in one process (`httpd -X`), as somebody with a debugger does, and some containers do.
    #[must_use]
    pub fn in_one_process(mut self) -> Self {
        self.mode = "-X";
        self
    }

    /// Announces warnings and errors of ours that this test brings about, by a part of their text; any other in the
    /// error log fails the test. See [`Log::expect`].
    #[must_use]
    pub fn expect_log(mut self, texts: &[&str]) -> Self {
        self.announced.extend(texts.iter().copied().map(String::from));
        self
    }

    /// Starts Apache at a terminal, as a person would.
    #[must_use]
    pub fn at_a_terminal(mut self) -> Self {
        self.terminal = Some(Terminal::open());
        self
    }

    /// What `httpd -t` says about the configuration: whether it is accepted, and the text.
    #[must_use]
    pub fn check(self) -> (bool, String) {
        let conf = self.write_conf(free_port());
        let done = Command::new(apache().httpd()).arg("-f").arg(conf).arg("-t").output().expect("httpd runs");
        let text = [done.stdout, done.stderr].concat();
        (done.status.success(), String::from_utf8_lossy(&text).into_owned())
    }

    /// Boots the server and waits until it listens.
    #[must_use]
    pub fn start(self) -> Httpd {
        let port = free_port();
        let conf = self.write_conf(port);
        if let Some(user) = self.user.as_deref().filter(|_| processes::is_root()) {
            self.scratch.give_to(user);
        }
        let root = self.scratch.path();
        let mut command = self.command(&conf, self.mode);
        command.stdin(Stdio::null());
        if let Some(terminal) = &self.terminal {
            terminal.give_to(&mut command);
        }
        let (log, console) = (root.join("logs/error.log"), root.join("logs/console.log"));
        let parent = Parent::start(command, root, &console, Log::new(log.clone()));
        let (log, console) = (Log::new(log), Log::new(console));
        self.announced.iter().for_each(|text| log.expect(&[text]));
        let mut server = Httpd { parent, port, log, console, _terminal: self.terminal, scratch: self.scratch };
        server.parent.wait_until_it_listens(port);
        server
    }

    /// Starts a server that should end by itself: its exit code, and what it told, in the error log too.
    #[must_use]
    pub fn fails_to_start(self) -> Finished {
        let conf = self.write_conf(free_port());
        let root = self.scratch.path();
        let mut done = run(&mut self.command(&conf, "-DFOREGROUND"), root);
        done.text += &Log::new(root.join("logs/error.log")).text();
        done
    }

    /// The command of httpd with this configuration, in this mode (`-DFOREGROUND`, `-X`).
    fn command(&self, conf: &Path, mode: &str) -> Command {
        let root = self.scratch.path();
        let mut command = httpd(self.user.as_deref());
        command.arg("-f").arg(conf).arg(mode).current_dir(root);
        command.envs(self.environment.iter().map(|(name, value)| (name, value))).env(MARKER, root);
        passing(command, self.passed.iter().map(|socket| socket.try_clone().expect("a descriptor")).collect())
    }

    fn write_conf(&self, port: u16) -> PathBuf {
        let root = self.scratch.path();
        for directory in ["run", "logs", "htdocs", "apps"] {
            self.scratch.directory(directory);
        }
        let (log_level, module_config, own) = (&self.log_level, &self.module_config, &self.conf);
        let conf = Conf { root, port, mpm: self.mpm, log_level, module_config, own };
        self.scratch.write("httpd.conf", conf.text())
    }
}

impl Httpd {
    /// A server to be described.
    #[must_use]
    pub fn builder() -> Builder {
        Builder {
            scratch: Scratch::new(),
            conf: String::new(),
            mpm: Mpm::default(),
            user: std::env::var("HARNESS_USER").ok(),
            log_level: "info".to_owned(),
            environment: Vec::new(),
            module_config: product().module_config().to_owned(),
            terminal: None,
            mode: "-DFOREGROUND",
            passed: Vec::new(),
            // Below valgrind there is no signal for that.
            announced: std::env::var_os("HARNESS_UNDER").map(|_| "WSGI1323: ".to_owned()).into_iter().collect(),
        }
    }

    /// A server with one daemon group `site` of these options, which serves `source` at `/` in its main interpreter.
    #[must_use]
    pub fn site(options: &str, source: &str) -> Builder {
        Self::builder().app("site.wsgi", source).conf(&format!(
            "WSGIDaemonProcess site {options}\n\
             WSGIScriptAlias / {{apps}}/site.wsgi process-group=site application-group=%{{GLOBAL}}"
        ))
    }

    /// A server with `source` at each of [`MODES`]: in a daemon group with these options, and in the Apache child.
    #[must_use]
    pub fn both_modes(options: &str, source: &str) -> Builder {
        Self::builder().app("site.wsgi", source).conf(&format!(
            "WSGIDaemonProcess site {options}\n\
             WSGIScriptAlias /daemon {{apps}}/site.wsgi process-group=site application-group=%{{GLOBAL}}\n\
             WSGIScriptAlias /embedded {{apps}}/site.wsgi application-group=%{{GLOBAL}}"
        ))
    }

    /// A server whose only application, at `/`, is the [`PROBE`](apps::PROBE), in one daemon group of these options.
    #[must_use]
    pub fn probe(options: &str) -> Self {
        Self::site(options, apps::PROBE).start()
    }

    /// The server's own directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.scratch.path()
    }

    /// Writes a file below the server's root, such as `apps/site.wsgi`.
    pub fn write(&self, name: &str, text: &str) {
        self.scratch.write(name, text);
    }

    /// Sends a signal to the Apache parent.
    pub fn signal(&mut self, signal: libc::c_int) {
        assert!(self.parent.signal(signal), "Apache has ended");
    }

    /// Every living process of this server: the parent, its children, the daemons and what they started.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        processes::of_server(Some(self.parent.pid()), self.root())
    }

    /// Every living process of this server with what it holds, the parent first.
    #[must_use]
    pub fn census(&self) -> Vec<Member> {
        census(self.parent.pid(), &self.processes())
    }

    /// The processes of this server that have ended without anybody noticing.
    #[must_use]
    pub fn zombies(&self) -> Vec<u32> {
        processes::zombies_of(&self.processes())
    }

    /// Stops the server as `apachectl stop` does and waits for its end; `None` when it had to be killed.
    pub fn stop(&mut self) -> Option<ExitStatus> {
        self.parent.stop(libc::SIGTERM)
    }

    /// Stops the server and fails when it left a process, a file in its run directory or a crash report in its log.
    pub fn finish(self) {
        drop(self);
    }
}

impl Site for Httpd {
    fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Httpd {
    fn drop(&mut self) {
        let mut complaints = self.parent.finish(libc::SIGTERM);
        complaints.extend(hygiene::left_in(&self.root().join("run"), |_| true));
        complaints.extend(hygiene::unannounced(&self.log));
        hygiene::report(&complaints, &[&self.console, &self.log]);
    }
}
