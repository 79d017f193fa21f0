//! `check_config`: the configuration is complete, and says which user each process group has. The last chance for a
//! mistake to be an error of the configuration, in `apachectl configtest` too.
#![forbid(unsafe_code)]

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::PoisonError;

use wsgi_unix::files::{self, FileError};
use wsgi_unix::user::Ids;
use wsgi_wire::control::Identity;
use wsgi_wire::environment;
use wsgi_wire::interface::Interface;
use wsgi_wire::limits;
use wsgi_wire::messages::configuration;

use super::passed_sockets;
use crate::daemons::configure;
use crate::directives::configuration::{Configuration, DRAFT};
use crate::httpd::identity;
use crate::httpd::pool::Pool;
use crate::httpd::server::{self, Run, Server};
use crate::httpd::{HookStatus, log, tree};
use crate::policy::abi::{self, Version};
use crate::policy::{asked_in_loop, undefined};

/// What is wrong with an `env-file`.
#[derive(Debug, thiserror::Error)]
enum EnvFileError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("line {0}: {1}")]
    Line(usize, environment::EnvironmentError),
    #[error("the groups of the user are not to be had: {0}")]
    User(#[from] io::Error),
}

/// Checks what concerns several directives: the groups that are named and what they are named for, and the
/// `env-file`s.
pub fn check_config(temporary: Pool<'_>, main: Server<'_>) -> HookStatus {
    if let Some(sentence) = abi::refusal(running(), built_for().0) {
        log::server(main, &configuration::FOREIGN_APACHE, format_args!("{sentence}"));
        return HookStatus::Status(500);
    }
    let draft = DRAFT.lock().unwrap_or_else(PoisonError::into_inner);
    if server::run() == Run::ConfigTest {
        warn_of_undefined_groups(&draft, main);
    }
    let with_loop = draft.groups.iter().filter(|group| group.options.interface == Interface::Asgi);
    let with_loop: Vec<&[u8]> = with_loop.map(|group| group.name.as_slice()).collect();
    if let Some(mistake) = asked_in_loop::mistake(&tree::configuration(), &with_loop) {
        log::server(main, &configuration::ASKED_IN_LOOP, format_args!("{mistake}"));
        return HookStatus::Status(500);
    }
    match env_files(&draft, temporary, main) {
        Ok(()) => {
            passed_sockets::take(main);
            HookStatus::Ok
        }
        Err(mistake) => {
            log::server(main, &configuration::ENVIRONMENT_FILE, format_args!("{mistake}"));
            HookStatus::Status(500)
        }
    }
}

/// The version of httpd that has loaded this module.
pub fn running() -> Version {
    let (major, (minor, patch)) = server::version();
    Version(major, minor, patch)
}

/// The version of httpd that this module was built for, with its module magic number.
pub fn built_for() -> (Version, String) {
    let ((major, minor, patch), magic) = server::built_for();
    (Version(major, minor, patch), magic)
}

/// Tells of groups that are named and not defined. A configuration that comes in parts may define them later: it is no
/// error.
pub fn warn_of_undefined_groups(configuration: &Configuration, main: Server<'_>) {
    let defined: Vec<&[u8]> = configuration.groups.iter().map(|group| group.name.as_slice()).collect();
    for sentence in undefined::groups(&tree::configuration(), &defined) {
        log::server(main, &configuration::UNDEFINED_GROUP, format_args!("{sentence}"));
    }
}

/// Reads the files of variables as whoever starts the processes will, who reads them again. Nothing of them stays in
/// the memory of Apache, whose children inherit that. A file that the group's user decides about must not keep all
/// others from being served: its own processes do not start.
fn env_files(configuration: &Configuration, temporary: Pool<'_>, main: Server<'_>) -> Result<(), String> {
    let apache = identity::children().and_then(|(uid, gid)| Some((identity::user_by_id(temporary, uid)?, gid)));
    for group in &configuration.groups {
        let user = apache.as_ref().map(|(apache, gid)| configure::identity(group, apache, *gid));
        for path in &group.options.env_files {
            let path = Path::new(OsStr::from_bytes(path));
            let Err(wrong) = env_file(path, user.as_ref()) else { continue };
            let name = String::from_utf8_lossy(&group.name);
            let mistake = format!("WSGIDaemonProcess {name}: env-file `{}`: {wrong}", path.display());
            if !user.as_ref().is_some_and(|user| files::is_of(path, user.uid)) {
                return Err(mistake);
            }
            log::server(
                main,
                &configuration::ENVIRONMENT_FILE,
                format_args!("{mistake}; the processes of the group cannot start"),
            );
        }
    }
    Ok(())
}

fn env_file(path: &Path, user: Option<&Identity>) -> Result<(), EnvFileError> {
    let user = user.map(|user| Ids::of(user.uid, user.gid, &user.name, user.groups.as_deref())).transpose()?;
    files::lend(path, limits::ENV_FILE, user.as_ref(), |text| environment::read(text, |_, _| {}))?
        .map_err(|(line, error)| EnvFileError::Line(line, error))
}
