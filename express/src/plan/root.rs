//! The choice of the server root, and of the directory for its sockets.

use std::os::unix::fs::MetadataExt;

use camino::{Utf8Path, Utf8PathBuf};

use super::caller::Caller;
use super::error::PlanError;

/// How many bytes `sockaddr_un.sun_path` has, less the terminator: the fewest of all systems.
const SOCKET_PATH: usize = 103;
/// How many bytes the module adds to the prefix: `.<pid>.<slot>.<serial>.sock`, ten digits, three and ten at the most.
const SOCKET_SUFFIX: usize = 31;

/// The server root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// The path of the server root.
    pub path: Utf8PathBuf,
    /// Whether nobody else may look into it, because nobody has asked for this directory.
    pub private: bool,
}

impl Root {
    /// Chooses the server root: the directory given, or one that belongs to the caller and to this address: below
    /// TMPDIR where that is set, else below /var/lib for root, else in the user's state directory. A directory in the
    /// common /tmp is the last resort; its owner is checked before it is used.
    pub fn choose(given: Option<Utf8PathBuf>, label: &str, caller: &Caller) -> Self {
        if let Some(path) = given {
            return Self { path, private: false };
        }
        let temporary = format!("mod_wsgi-{label}:{}", caller.uid);
        let path = match (caller.variable("TMPDIR"), caller.uid) {
            (Some(directory), _) => caller.directory.join(directory).join(temporary),
            (None, 0) => Utf8Path::new("/var/lib/mod_wsgi").join(label),
            (None, _) => match state_directory(caller) {
                Some(directory) => directory.join("mod_wsgi").join(label),
                None => Utf8Path::new("/tmp").join(temporary),
            },
        };
        // What root makes is for the user it runs the application as.
        Self { path, private: caller.uid != 0 }
    }

    /// Chooses the directory of the daemons' sockets: the one given, else the server root if their names fit, else a
    /// shorter one.
    ///
    /// # Errors
    /// [`PlanError::LongSocketPrefix`] when the directory given is too long.
    pub fn sockets(&self, given: Option<Utf8PathBuf>, caller: &Caller) -> Result<Sockets, PlanError> {
        let fits = |directory: &Utf8Path| directory.as_str().len() + "/wsgi".len() + SOCKET_SUFFIX <= SOCKET_PATH;
        let (directory, place) = match given {
            Some(directory) if fits(&directory) => (directory, SocketDirectory::Given),
            Some(directory) => return Err(PlanError::LongSocketPrefix(directory)),
            None if fits(&self.path) => (self.path.clone(), SocketDirectory::Root),
            None => (short_directory(caller), SocketDirectory::Short),
        };
        Ok(Sockets { prefix: directory.join("wsgi"), directory, place })
    }
}

/// The sockets of the daemons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sockets {
    /// The value of `WSGISocketPrefix`.
    pub prefix: Utf8PathBuf,
    /// The directory that they are in.
    pub directory: Utf8PathBuf,
    place: SocketDirectory,
}

/// Where the directory of the sockets comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SocketDirectory {
    /// It is the server root.
    Root,
    /// `--socket-prefix` names it.
    Given,
    /// It is one of our choice: the path of the server root is too long for sockets.
    Short,
}

impl Sockets {
    /// The directory that `--socket-prefix` names.
    pub fn given_directory(&self) -> Option<Utf8PathBuf> {
        (self.place == SocketDirectory::Given).then(|| self.directory.clone())
    }

    /// A directory of our own choice outside the server root; nobody else may own it.
    pub fn short_directory(&self) -> Option<&Utf8Path> {
        (self.place == SocketDirectory::Short).then_some(&self.directory)
    }
}

/// The user's directory for state that outlives a session, if the caller has one.
fn state_directory(caller: &Caller) -> Option<Utf8PathBuf> {
    if let Some(directory) = caller.variable("XDG_STATE_HOME").filter(|f| f.starts_with('/')) {
        return Some(directory.into());
    }
    let home = Utf8Path::new(caller.variable("HOME")?);
    // After `su` or `setpriv` HOME may still be somebody else's.
    home.metadata().is_ok_and(|m| m.is_dir() && m.uid() == caller.uid).then(|| home.join(".local/state"))
}

/// A directory with a short name that only the caller can write to.
fn short_directory(caller: &Caller) -> Utf8PathBuf {
    let own = |directory: &&str| Utf8Path::new(directory).metadata().is_ok_and(|m| m.is_dir() && m.uid() == caller.uid);
    match (caller.uid, caller.variable("XDG_RUNTIME_DIR").filter(own)) {
        (0, _) => "/var/run/mod_wsgi".into(),
        (_, Some(directory)) => Utf8Path::new(directory).join("mod_wsgi"),
        // Whose it is is checked before it is used, and by the module at each start.
        (uid, None) => format!("/tmp/mod_wsgi-{uid}").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(uid: u32, variables: &[(&str, &str)]) -> Caller {
        let variables = variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Caller { directory: "/work".into(), variables, uid, command: Vec::new() }
    }

    #[test]
    fn the_default_root_is_the_callers_own() {
        let path = |caller: &Caller| Root::choose(None, "localhost:8000", caller).path.to_string();
        assert_eq!(path(&caller(0, &[])), "/var/lib/mod_wsgi/localhost:8000");
        assert_eq!(path(&caller(5, &[("TMPDIR", "/t")])), "/t/mod_wsgi-localhost:8000:5");
        assert_eq!(path(&caller(5, &[("XDG_STATE_HOME", "/s")])), "/s/mod_wsgi/localhost:8000");
        assert_eq!(path(&caller(5, &[("HOME", "/nonexistent")])), "/tmp/mod_wsgi-localhost:8000:5");
    }

    #[test]
    fn long_roots_have_their_sockets_elsewhere() {
        let root = |length| Root { path: format!("/{}", "r".repeat(length)).into(), private: false };
        let someone = caller(5, &[]);
        assert_eq!(root(20).sockets(None, &someone).unwrap().prefix, format!("/{}/wsgi", "r".repeat(20)));
        assert_eq!(root(90).sockets(None, &someone).unwrap().prefix, "/tmp/mod_wsgi-5/wsgi");
        assert!(root(1).sockets(Some("/x".repeat(60).into()), &someone).is_err());
    }
}
