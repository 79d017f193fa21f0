//! The control script in the server root.

use camino::{Utf8Path, Utf8PathBuf};
use httpd_conf::Server;

use super::apache::{Installation, on_path, program};
use super::context::Context;
use super::error::PlanError;

/// The settings of the control script.
#[derive(Clone, Debug)]
pub struct Control {
    shell: Utf8PathBuf,
    httpd: Utf8PathBuf,
    title: String,
    working_directory: Utf8PathBuf,
    envvars: Utf8PathBuf,
    exports: Vec<(&'static str, String)>,
    startup_log: Option<Utf8PathBuf>,
    command: Vec<String>,
    pid_file: Utf8PathBuf,
    root: Utf8PathBuf,
    sockets: Utf8PathBuf,
    /// `--gdb-executable`, with `--enable-gdb`.
    gdb: Option<Utf8PathBuf>,
    /// Whether everything runs in one process, which stays in the foreground.
    one_process: bool,
}

impl Control {
    /// Makes the settings for a server.
    ///
    /// # Errors
    /// [`PlanError`] when the shell or the variables file that the options name is not there.
    pub fn new(
        context: &Context,
        server: &Server,
        installation: &Installation,
        startup_log: Option<&Utf8Path>,
    ) -> Result<Self, PlanError> {
        let Context { options, here, caller, locale, working_directory, .. } = context;
        let (layout, debugging, httpd) = (&options.layout, &options.debugging, &installation.httpd);
        let shell = match &layout.shell_executable {
            Some(shell) => program("--shell-executable", shell, here)?,
            None => on_path("bash").unwrap_or_else(|| "/bin/sh".into()),
        };
        let sites = &server.sites;
        let mut exports = vec![
            ("MOD_WSGI_SERVER_ROOT", server.root.to_string()),
            ("MOD_WSGI_WORKING_DIRECTORY", working_directory.to_string()),
            ("MOD_WSGI_LISTENER_HOST", sites.address.clone().unwrap_or_else(|| "localhost".to_owned())),
            ("MOD_WSGI_HTTP_PORT", sites.port.to_string()),
            ("MOD_WSGI_USER", server.run_as.user.clone()),
            ("MOD_WSGI_GROUP", server.run_as.group.clone()),
            ("LANG", locale.clone()),
            ("LC_ALL", locale.clone()),
        ];
        exports.extend(sites.tls.as_ref().map(|tls| ("MOD_WSGI_HTTPS_PORT", tls.port.to_string())));
        exports.push(("MOD_WSGI_MODULES_DIRECTORY", installation.modules_directory().to_string()));
        let usual_title = || format!("{} (mod_wsgi-express)", httpd.file_name().unwrap_or("httpd"));
        Ok(Self {
            shell,
            httpd: httpd.clone(),
            title: layout.process_name.clone().unwrap_or_else(usual_title),
            working_directory: working_directory.clone(),
            envvars: match &options.identity.envvars_script {
                Some(file) => here.existing("--envvars-script", file)?,
                None => server.root.join("envvars"),
            },
            exports,
            startup_log: startup_log.map(Utf8Path::to_owned),
            command: caller.command.clone(),
            pid_file: server.pid_file.clone(),
            root: server.root.clone(),
            sockets: server.wsgi.socket_prefix.parent().unwrap_or(&server.root).to_owned(),
            gdb: debugging
                .enable_gdb
                .then(|| program("--gdb-executable", &debugging.gdb_executable, here))
                .transpose()?,
            one_process: debugging.one_process(),
        })
    }

    /// The path of the script.
    pub fn path(&self) -> Utf8PathBuf {
        self.root.join("apachectl")
    }

    /// The variables file that it reads.
    pub fn envvars(&self) -> &Utf8Path {
        &self.envvars
    }

    /// Whether the server is one process, which has the terminal to itself.
    pub fn is_one_process(&self) -> bool {
        self.one_process
    }

    /// The script, for any POSIX shell; only the process title takes bash.
    pub fn script(&self) -> String {
        let exports: String = self.exports.iter().map(|(n, v)| format!("{n}={}\nexport {n}\n", quoted(v))).collect();
        let title = match self.shell.file_name() {
            Some("bash") => format!("-a {} ", quoted(&self.title)),
            _ => String::new(),
        };
        let start = match &self.gdb {
            Some(gdb) => format!("{} -quiet -ex run --args ", quoted(gdb.as_str())),
            None => title.clone(),
        };
        // As one process Apache has no right to remove that file any more when it ends; a process with the number in it
        // would keep it from starting.
        let (remove_pid_file, one_process) =
            if self.one_process { ("    rm -f \"$pid_file\"\n", " -DONE_PROCESS") } else { ("", "") };
        let startup_log =
            self.startup_log.as_ref().map(|file| format!(" -E {}", quoted(file.as_str()))).unwrap_or_default();
        include_str!("apachectl.sh")
            .replace("@shell@", self.shell.as_str())
            .replace("@command@", &mentioned(&self.command))
            .replace("@root@", &quoted(self.root.as_str()))
            .replace("@httpd@", &quoted(self.httpd.as_str()))
            .replace("@pid_file@", &quoted(self.pid_file.as_str()))
            .replace("@sockets@", &quoted(self.sockets.as_str()))
            .replace("@working_directory@", &quoted(self.working_directory.as_str()))
            .replace("@envvars@", &quoted(self.envvars.as_str()))
            .replace("@exports@", exports.trim_end())
            .replace("@title@", &title)
            .replace("@startup_log@", &startup_log)
            .replace("@start@", &start)
            .replace("    @remove_pid_file@\n", remove_pid_file)
            .replace("@one_process@", one_process)
    }
}

/// Formats a command line without the values of its options, which may be secret: everybody may read the script.
fn mentioned(command: &[String]) -> String {
    let option = |word: &&String| word.starts_with("--") && word.len() > 2;
    let names = command.iter().filter(option).map(|word| word.split('=').next().unwrap_or_default());
    let is_plain = |word: &str| word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let words = command.first().map(String::as_str).into_iter().chain(names).filter(|word| is_plain(word));
    words.collect::<Vec<_>>().join(" ")
}

/// Quotes a word for a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_comment_has_no_values() {
        let words = ["setup-server", "site.wsgi", "--setenv", "KEY", "s3cret", "--host=h", "--setenv", "X", "--y\nrm"];
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        assert_eq!(mentioned(&words), "setup-server --setenv --host --setenv");
    }

    #[test]
    fn shell_words() {
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
    }
}
