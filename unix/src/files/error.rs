//! Why a file or directory is not used, in a sentence that names what is wrong with which part of its path, and the
//! cure.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::user;

/// The kind of a part of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The file at its end.
    File,
    /// A directory on the way.
    Directory,
    /// A symbolic link on the way.
    Link,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::File => "the file",
            Kind::Directory => "the directory",
            Kind::Link => "the link",
        })
    }
}

/// The users who may write to something besides its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// A group with others in it.
    Group(u32),
    /// All users may write.
    Everybody,
}

impl Writer {
    fn shown(self) -> String {
        match self {
            Self::Group(gid) => format!("the group {}", user::group_shown(gid)),
            Self::Everybody => "everybody".to_owned(),
        }
    }

    fn letter(self) -> char {
        if self == Self::Everybody { 'o' } else { 'g' }
    }
}

/// The users whom every process trusts, in words.
fn believed() -> String {
    let own = rustix::process::geteuid();
    if own.is_root() { "root".to_owned() } else { format!("root or {}", user::shown(own.as_raw())) }
}

/// Why a file or directory is not used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The part of the path belongs to a user who is not trusted.
    #[error("{kind} {} belongs to {}, who could put anything in its place; it has to belong to {} (chown)",
        path.display(), user::shown(*owner), believed())]
    Owner {
        /// What kind of file it is.
        kind: Kind,
        /// The part of the path.
        path: PathBuf,
        /// The user who owns it.
        owner: u32,
    },
    /// Other users than the owner may write to it.
    #[error("{} may write to {kind} {}, and so decide what is there; take that right away (chmod {}-w {0})",
        writer.shown(), path.display(), writer.letter())]
    Writable {
        /// What kind of file it is.
        kind: Kind,
        /// The part of the path.
        path: PathBuf,
        /// The users who may write to it.
        writer: Writer,
    },
    /// It is a symbolic link.
    #[error("{} is a symbolic link; name what it leads to", .path.display())]
    Link {
        /// The path in question.
        path: PathBuf,
    },
    /// The links on the way never end.
    #[error("there are too many symbolic links on the way to {}", .path.display())]
    Loop {
        /// The path in question.
        path: PathBuf,
    },
    /// It is a directory, device, FIFO or socket, not a regular file.
    #[error("{} is no regular file", .path.display())]
    NotRegular {
        /// The path in question.
        path: PathBuf,
    },
    /// It is something else than a directory.
    #[error("{} is no directory", .path.display())]
    NotDirectory {
        /// The path in question.
        path: PathBuf,
    },
    /// The path does not begin at `/`.
    #[error("the path {} is not absolute", .path.display())]
    Relative {
        /// The path in question.
        path: PathBuf,
    },
    /// The file has more bytes than it may have.
    #[error("the file {} is longer than {max} bytes, the most that is read of such a file", .path.display())]
    TooLong {
        /// The path in question.
        path: PathBuf,
        /// How many bytes it may have at the most.
        max: u64,
    },
    /// The rights of the user whose file it is cannot be assumed.
    #[error("{} belongs to {}, whose rights cannot be taken to read it: {source}; give it to root (chown)",
        .path.display(), user::shown(*.user))]
    Rights {
        /// The path in question.
        path: PathBuf,
        /// The id of the user.
        user: u32,
        /// Why the system refused.
        source: io::Error,
    },
    /// The system refuses.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The part of the path.
        path: PathBuf,
        /// Why the system refused.
        source: io::Error,
    },
}

impl FileError {
    /// Makes the error of a failed system call about this path.
    pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}
