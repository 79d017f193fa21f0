//! What there is to know besides the directives when a configuration is taken, and what is said about it.
#![forbid(unsafe_code)]

use std::path::Path;

use wsgi_wire::messages::configuration as messages;
use wsgi_wire::settings::Server as ServerFacts;

use crate::daemons::configure::{LogStyle, Surroundings};
use crate::directives::configuration::{Configuration, InterpreterSection};
use crate::httpd::pool::Pool;
use crate::httpd::server::{self, Server};
use crate::httpd::{auth, control, identity, log, tree};
use crate::policy::reachable_scripts::ReachableScripts;
use crate::policy::tree::Node;
use crate::policy::{proxies, single_application, words};

/// Apache's children are to have a user that the machine does not know.
#[derive(Debug, thiserror::Error)]
#[error("Apache's User (uid {0}) does not exist on this machine; correct the User directive")]
pub(super) struct UnknownUser(u32);

/// Adds ours to the names in the server's banner.
pub(super) fn name_ourselves(pconf: Pool<'_>) {
    if let Ok(own) = std::ffi::CString::new(format!("mod_wsgi/{}", crate::VERSION)) {
        server::add_component(pconf, &own);
    }
    if let Some(python) = python_component() {
        server::add_component(pconf, &python);
    }
}

/// Warns of directives that have no effect, or one that nobody can want.
pub(super) fn warn_of_mistakes(configuration: &Configuration, main: Server<'_>) {
    let in_vain = |s: &&InterpreterSection| s.application_group.is_some() && s.settings.free_threading.is_some();
    for section in configuration.sections.iter().filter(in_vain) {
        let name = String::from_utf8_lossy(section.application_group.as_deref().unwrap_or_default());
        log::server(
            main,
            &messages::FREE_THREADING_OF_GROUP,
            format_args!(
                "WSGIFreeThreading in the section for application-group={name} is ignored: it is for whole processes; put it at the top level, or \
                 into a section without application-group"
            ),
        );
    }
    if proxies::believe_everybody(&tree::configuration()) {
        log::server(
            main,
            &messages::EVERY_PROXY_IS_TRUSTED,
            format_args!(
                "WSGITrustedProxyHeaders without WSGITrustedProxies believes these headers whoever sends them, so that any client chooses its own \
                 address: name the proxies"
            ),
        );
    }
}

/// Whether a section has `AuthnCacheProvideFor wsgi`, which lets mod_authn_socache remember what our provider finds
/// out.
pub(super) fn caches(tree: &[Node]) -> bool {
    tree.iter().any(|node| {
        let is_for_us = || words::all(&node.arguments).iter().any(|provider| provider == auth::USERS.to_bytes());
        node.name.eq_ignore_ascii_case(b"AuthnCacheProvideFor") && is_for_us() || caches(&node.inside)
    })
}

fn is_file(path: &[u8]) -> bool {
    Path::new(&*wsgi_unix::native(path)).is_file()
}

/// Collects what the supervisor must be told beside the configuration.
pub(super) fn surroundings(
    package: Option<&Path>,
    socket_prefix: &str,
    temporary: Pool<'_>,
    main: Server<'_>,
) -> Result<Surroundings, UnknownUser> {
    let (mpm, built, description) = server::description();
    let (maximum_processes, threads_per_process) = server::capacity();
    let children = match identity::children() {
        Some((uid, gid)) => Some((identity::user_by_id(temporary, uid).ok_or(UnknownUser(uid))?, gid)),
        None => None,
    };
    let tree = tree::configuration();
    Ok(Surroundings {
        generation: control::next_generation(),
        parent: std::process::id(),
        socket_prefix: socket_prefix.to_owned(),
        children,
        users_vary: server::has_module(c"mpm_itk.c"),
        package: package.map(|directory| wsgi_unix::bytes(directory.as_os_str()).into_owned()),
        server: ServerFacts {
            version: server::version(),
            description,
            mpm,
            built,
            maximum_processes,
            threads_per_process,
        },
        servers: u32::try_from(main.all().count()).unwrap_or(u32::MAX),
        single_applications: single_application::groups(&tree, is_file),
        scripts: ReachableScripts::read(&tree),
        log: log_style(main),
        vhost: main.hostname().unwrap_or_default().to_vec(),
        timeout: u32::try_from(main.timeout().as_secs()).unwrap_or(u32::MAX),
    })
}

pub(super) fn log_style(server: Server<'_>) -> LogStyle {
    LogStyle { level: server.log_level(), format: log::format(server) }
}

/// `Python/X.Y`, if the module's file tells for which Python it was installed: by its name (`mod_wsgi-py311.….so`), or,
/// where it is one for all, by its directory (`lib/python3.11/…`).
fn python_component() -> Option<std::ffi::CString> {
    let module = control::module_path()?;
    let version = version_in(module.file_name()?.to_str()?, "mod_wsgi-py").or_else(|| {
        let directories = module.parent()?.iter().filter_map(|directory| directory.to_str());
        directories.filter_map(|directory| version_in(&directory.replace('.', ""), "python")).next_back()
    })?;
    std::ffi::CString::new(format!("Python/{version}")).ok()
}

/// Finds a version behind a prefix in a name: `3.11` where that is followed by `311`.
fn version_in(name: &str, prefix: &str) -> Option<String> {
    let digits: String = name.strip_prefix(prefix)?.chars().take_while(char::is_ascii_digit).collect();
    let (major, minor) = digits.split_at_checked(1).filter(|(_, minor)| !minor.is_empty())?;
    Some(format!("{major}.{minor}"))
}
