//! The files of the server root.

use std::os::unix::fs::MetadataExt;

use camino::{Utf8Path, Utf8PathBuf};
use wsgi_unix::files::{self, Access, FileError, Kind, Owners};
use wsgi_unix::user;

use crate::plan::{Plan, Root, WELCOME};

/// A file to be written.
#[derive(Debug, PartialEq, Eq)]
pub struct File {
    /// The path of the file.
    pub path: Utf8PathBuf,
    /// The text of the file.
    pub text: String,
    /// The permissions of the file.
    pub mode: u32,
    /// Whether a file that is already there is left alone, because it is the user's.
    pub keep: bool,
}

/// Why the texts of the files cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// A value that no configuration file can hold.
    #[error(transparent)]
    Value(#[from] httpd_conf::ValueError),
    /// The settings of the application's script cannot be written as JSON.
    #[error("the application's settings cannot be written: {0}")]
    Settings(#[from] serde_json::Error),
}

/// Why the server root cannot be written, or the server not be run from it.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The server root belongs to another user.
    #[error(
        "{path} belongs to another user ({owner}), who could make the server run anything; name another directory with --server-root"
    )]
    Foreign {
        /// The path of the directory.
        path: Utf8PathBuf,
        /// The owner of the directory.
        owner: String,
    },
    /// A file or directory cannot be made, or somebody else could put another in its place.
    #[error("{reason}; or name another place with {option}")]
    Place {
        /// The option that names it.
        option: &'static str,
        /// The reason of the failure.
        reason: FileError,
    },
}

impl WriteError {
    fn at(option: &'static str) -> impl FnOnce(FileError) -> Self {
        move |reason| Self::Place { option, reason }
    }
}

/// Makes the texts of the files, without looking at the machine.
///
/// # Errors
/// [`RenderError`] when a value cannot be written down.
pub fn render(plan: &Plan) -> Result<Vec<File>, RenderError> {
    let root = &plan.root.path;
    let made = |name: &str, text: String| File { path: root.join(name), text, mode: 0o644, keep: false };
    let users = |name: &str, text: &str| File { keep: true, ..made(name, text.to_owned()) };
    // Values of --setenv and exported variables may be secret; whoever starts Apache reads these files, nobody else.
    let private = |file: File| File { mode: 0o600, ..file };
    let mut files = vec![
        private(made("httpd.conf", plan.server.render()?)),
        File { mode: 0o755, ..made("apachectl", plan.control.script()) },
        made("handler.wsgi", plan.handler.script()?),
        made("default.wsgi", WELCOME.to_owned()),
        private(users("envvars", "# Shell commands that apachectl runs first: export NAME=value\n")),
        users("rewrite.conf", "# Rewrite rules that see requests before the application: RewriteRule ...\n"),
        // An empty directory might be taken away by a cleaner of temporary files.
        made("htdocs/.htkeep", "Keeps this directory from being taken for an empty one.\n".to_owned()),
    ];
    if let Some(resources) = &plan.resources {
        files.push(made("resource.wsgi", resources.script()?));
    }
    if plan.server.sites.tls.as_ref().is_some_and(|tls| tls.acme.is_some()) {
        files.push(File { mode: 0o755, ..made(httpd_conf::Acme::MESSAGE, acme_message(plan)) });
    }
    if let Some((path, text)) = &plan.telemetry {
        files.push(File { path: path.clone(), text: text.clone(), mode: 0o644, keep: false });
    }
    Ok(files)
}

/// The program that mod_md tells of certificates: a new one is used after a graceful restart.
fn acme_message(plan: &Plan) -> String {
    let pid = plan.server.pid_file.as_str().replace('\'', r"'\''");
    format!("#!/bin/sh\n[ \"$1\" != renewed ] || kill -USR1 \"$(cat '{pid}')\" || true\n")
}

/// Makes the directories and writes the files. The umask has no say in their permissions.
///
/// # Errors
/// [`WriteError`] when the server root is not the caller's own or cannot be written to, or somebody else could exchange
/// what root is to use.
pub fn write(plan: &Plan, files: &[File], caller: u32, setup: bool) -> Result<(), WriteError> {
    let root = &plan.root.path;
    let (owners, within) = (Owners::own(), if setup { tolerated(root) } else { Owners::own() });
    let of = |path: &Utf8Path| if path.starts_with(root) { &within } else { &owners };
    make_root(&plan.root, caller, &within)?;
    make_directory(&root.join("htdocs"), ROOT, caller, &within)?;
    for (option, directory) in &plan.directories {
        make_directory(directory, option, caller, of(directory))?;
    }
    // Of one that is there the module says what it needs.
    if let Some(directory) = plan.sockets.given_directory().filter(|directory| !directory.exists()) {
        make_directory(&directory, SOCKETS, caller, of(&directory))?;
    }
    for (option, directory) in
        plan.written_by_application.iter().filter(|(_, directory)| directory.symlink_metadata().is_err())
    {
        let private = Access::of_mode(0o700);
        let access = if caller == 0 { private.given_to(plan.account.uid, plan.account.gid) } else { private };
        files::make_directory(directory.as_std_path(), access, of(directory)).map_err(WriteError::at(option))?;
    }
    if let Some(directory) = plan.sockets.short_directory() {
        let access = Access::of_mode(if caller == 0 { 0o711 } else { 0o700 });
        files::make_directory(directory.as_std_path(), access, &owners)
            .and_then(|_| files::check_directory(directory.as_std_path(), &owners))
            .map_err(WriteError::at(SOCKETS))?;
    }
    for file in files {
        let path = file.path.as_std_path();
        if file.keep && path.symlink_metadata().is_ok() {
            files::check_file(path, &within).map_err(WriteError::at(ROOT))?;
        } else {
            let access = Access::of_mode(file.mode);
            files::write(path, file.text.as_bytes(), access, &within).map_err(WriteError::at(ROOT))?;
        }
    }
    if caller == 0 {
        plan.used_by_root.iter().try_for_each(|(option, path)| check_used(path, option, plan))
    } else {
        Ok(())
    }
}

/// The option for everything in the server root.
const ROOT: &str = "--server-root";
/// The option for the daemons' sockets.
const SOCKETS: &str = "--socket-prefix";

/// The owners that a server root may be below that is only set up: the user is warned of those who can still move it.
fn tolerated(root: &Utf8Path) -> Owners {
    let mut owners = Owners::own();
    let above = root.ancestors().skip(1).find(|directory| directory.exists()).unwrap_or(root);
    while let Err(FileError::Owner { kind: Kind::Directory, owner, path }) =
        files::check_directory(above.as_std_path(), &owners)
    {
        eprintln!(
            "warning: {} belongs to {}, who could put another server root in the place of {root}: start no server from there",
            path.display(),
            user::shown(owner)
        );
        owners = owners.and_directories_of(owner);
    }
    owners
}

fn make_root(root: &Root, caller: u32, owners: &Owners) -> Result<(), WriteError> {
    // Others must be able to reach the files in a root made by the superuser: Apache's children do not run as root.
    let access = Access::of_mode(if root.private { 0o700 } else { 0o755 });
    let path = root.path.as_std_path();
    if path.symlink_metadata().is_err() {
        return files::make_directory(path, access, owners).map(drop).map_err(WriteError::at(ROOT));
    }
    // Of a link, what it leads to.
    if let Some(found) = path.metadata().ok().filter(|found| found.uid() != caller) {
        return Err(WriteError::Foreign { path: root.path.clone(), owner: user::shown(found.uid()) });
    }
    files::check_directory(path, owners).map_err(WriteError::at(ROOT))
}

/// Makes a directory that is missing. A directory that exists, in which root's Apache opens files, must not be for
/// others to exchange.
fn make_directory(path: &Utf8Path, option: &'static str, caller: u32, owners: &Owners) -> Result<(), WriteError> {
    let made = match path.metadata() {
        Ok(_) if caller == 0 => files::check_directory(path.as_std_path(), owners),
        Ok(found) if !found.is_dir() => Err(FileError::NotDirectory { path: path.into() }),
        Ok(_) => Ok(()),
        Err(_) => files::make_directory(path.as_std_path(), Access::of_mode(0o755), owners).map(drop),
    };
    made.map_err(WriteError::at(option))
}

/// Checks a file that root's shell or Apache reads and obeys. The owner of the module is trusted, too: root's Apache
/// loads that.
fn check_used(path: &Utf8Path, option: &'static str, plan: &Plan) -> Result<(), WriteError> {
    let module = plan.server.modules.last().and_then(|module| module.file.metadata().ok());
    let owners = module.map_or_else(Owners::own, |module| Owners::own().and(module.uid()));
    files::check_file(path.as_std_path(), &owners).map_err(WriteError::at(option))
}
