//! A plain Apache with the module, booted for one test.

use crate::apache::apache;
use crate::conf::{Conf, Mpm};
use crate::logs::Log;
use crate::ports::free_port;
use crate::processes::{self, MARKER, as_user, kill};
use crate::product::product;
use crate::raw::Client;
use crate::request::Site;
use crate::scratch::Scratch;
use crate::wait::eventually;
use crate::{apps, hygiene};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// Longest time for a start or a stop, on a machine that is busy with other tests.
const DEADLINE: Duration = Duration::from_secs(30);

/// What a server is to be like; see the example of this crate.
pub struct Builder {
    scratch: Scratch,
    conf: String,
    mpm: Mpm,
    user: Option<String>,
    log_level: String,
    environment: Vec<(String, String)>,
    module_config: String,
}

/// A running Apache. Out of scope it is stopped, and the test fails when it left something behind.
pub struct Httpd {
    scratch: Scratch,
    port: u16,
    parent: Option<Child>,
    /// The error log.
    pub log: Log,
    /// Process id of the parent, which leads the session of all its processes.
    leader: u32,
}

impl Builder {
    /// Adds lines to the configuration; `{root}`, `{apps}` and `{port}` stand for this server's.
    #[must_use]
    pub fn conf(mut self, lines: &str) -> Self {
        self.conf += lines;
        self.conf.push('\n');
        self
    }

    /// Writes an application into the folder `{apps}`.
    #[must_use]
    pub fn app(self, name: &str, source: &str) -> Self {
        self.file(&format!("apps/{name}"), source)
    }

    /// Writes a file below the server's root; `{root}` in its text stands for that folder.
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

    /// Adds a variable to the environment that Apache is started in.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
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
        let console = File::create(root.join("logs/console.log")).expect("a console log");
        let mut command = as_user(self.user.as_deref(), apache().httpd());
        command.arg("-f").arg(conf).arg("-DFOREGROUND").current_dir(root);
        command.envs(self.environment.iter().map(|(name, value)| (name, value))).env(MARKER, root);
        command.stdin(Stdio::null()).stderr(console.try_clone().expect("a descriptor")).stdout(console);
        let parent = in_new_session(&mut command).spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let log = Log::new(root.join("logs/error.log"));
        let mut server = Httpd { leader: parent.id(), parent: Some(parent), port, log, scratch: self.scratch };
        server.wait_until_it_listens();
        server
    }

    fn write_conf(&self, port: u16) -> PathBuf {
        let root = self.scratch.path();
        for folder in ["run", "logs", "htdocs", "apps"] {
            self.scratch.folder(folder);
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
            user: None,
            log_level: "info".to_owned(),
            environment: Vec::new(),
            module_config: product().module_config().to_owned(),
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

    /// A server whose only application, at `/`, is the [`PROBE`](apps::PROBE), in one daemon group of these options.
    #[must_use]
    pub fn probe(options: &str) -> Self {
        Self::site(options, apps::PROBE).start()
    }

    /// The server's own folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.scratch.path()
    }

    /// Writes a file below the server's root, such as `apps/site.wsgi`.
    pub fn write(&self, name: &str, text: &str) {
        self.scratch.write(name, text);
    }

    /// Sends a signal to the Apache parent.
    pub fn signal(&self, signal: libc::c_int) {
        assert!(kill(self.leader, signal), "Apache has ended");
    }

    /// Every living process of this server: the parent, its children, the daemons and what they started.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        processes::of_server(Some(self.leader), self.root())
    }

    /// Stops the server as `apachectl stop` does and waits for its end; `None` when it had to be killed.
    pub fn stop(&mut self) -> Option<ExitStatus> {
        let parent = self.parent.as_mut()?;
        kill(self.leader, libc::SIGTERM);
        let status = eventually(DEADLINE, || parent.try_wait().ok().flatten());
        if status.is_none() {
            hygiene::kill_all(Some(self.leader), self.scratch.path());
            // The killed parent has to be reaped; its exit status says nothing.
            let _ = parent.wait();
        }
        self.parent = None;
        status
    }

    /// Stops the server and fails when it left a process, a file in its run directory or a crash report in its log.
    pub fn finish(self) {
        drop(self);
    }

    fn wait_until_it_listens(&mut self) {
        let port = self.port;
        let parent = self.parent.as_mut().expect("it was just started");
        let ready = eventually(DEADLINE, || match parent.try_wait() {
            Ok(None) => Client::try_connect(port).ok().map(|_| true),
            _ => Some(false),
        });
        assert!(ready == Some(true), "Apache did not start");
    }

    fn console(&self) -> String {
        std::fs::read_to_string(self.root().join("logs/console.log")).unwrap_or_default()
    }
}

impl Site for Httpd {
    fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Httpd {
    fn drop(&mut self) {
        let running = self.parent.is_some();
        let stopped = self.stop().is_some() || !running;
        let mut complaints = hygiene::complaints(Some(self.leader), self.root(), &self.log.text());
        complaints.extend(hygiene::left_in(&self.root().join("run"), |_| true));
        hygiene::kill_all(Some(self.leader), self.root());
        if !stopped {
            complaints.insert(0, format!("Apache did not stop within {} s", DEADLINE.as_secs()));
        }
        if std::thread::panicking() || !complaints.is_empty() {
            eprintln!(
                "--- console of {}\n{}--- error log\n{}---",
                self.root().display(),
                self.console(),
                self.log.text()
            );
        }
        if !std::thread::panicking() {
            assert!(complaints.is_empty(), "the server left something behind: {complaints:#?}");
        }
    }
}

/// Makes the command the leader of a new session, so that its processes can be told from all others.
pub(crate) fn in_new_session(command: &mut Command) -> &mut Command {
    use std::os::unix::process::CommandExt;
    // SAFETY: setsid is async-signal-safe and touches no memory of this process.
    unsafe {
        command.pre_exec(|| {
            libc::setsid();
            Ok(())
        })
    }
}
