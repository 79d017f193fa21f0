//! Why a socket cannot be connected to, in words that name the socket, the user and the cure.
#![forbid(unsafe_code)]

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use wsgi_unix::user::shown;

/// Returns an error of the same kind with the path of the socket in it. Where the right to connect is missing, it says
/// whose the socket is and which user this process has.
pub fn explained(error: &io::Error, path: &Path) -> io::Error {
    let socket = path.display();
    if error.kind() != io::ErrorKind::PermissionDenied {
        return io::Error::new(error.kind(), format!("{socket}: {error}"));
    }
    let own = rustix::process::geteuid().as_raw();
    let reason = match fs::symlink_metadata(path) {
        Ok(found) if found.uid() != own => format!(
            "the socket {socket} is for {}, and this Apache child runs as {} ({error}): socket-user of the group has to name the latter",
            shown(found.uid()),
            shown(own)
        ),
        Ok(_) => format!("the socket {socket} is for {} and the system denies it nevertheless: {error}", shown(own)),
        Err(_) => format!(
            "{}, who this Apache child runs as, may not enter a directory above the socket {socket} ({error}): change its permissions, or name \
             another place with WSGISocketPrefix",
            shown(own)
        ),
    };
    io::Error::new(error.kind(), reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_is_named_and_the_kind_stays() {
        let error = explained(&io::ErrorKind::WouldBlock.into(), Path::new("/run/wsgi.1.sock"));
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert!(error.to_string().starts_with("/run/wsgi.1.sock: "), "{error}");
        let error = explained(&io::ErrorKind::PermissionDenied.into(), Path::new("/nowhere/at/all/wsgi.1.sock"));
        assert!(error.to_string().contains("may not enter a directory above the socket /nowhere/at/all"), "{error}");
        let error = explained(&io::ErrorKind::PermissionDenied.into(), Path::new("/dev/null")).to_string();
        assert!(error.contains("root (uid 0)") && error.contains("/dev/null"), "{error}");
    }
}
