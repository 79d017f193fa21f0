//! A user of this machine, whichever system that has.
#![forbid(unsafe_code)]

/// A user of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The id of the user.
    pub uid: u32,
    /// The id of the user's login group.
    pub gid: u32,
    /// The login name.
    pub name: Vec<u8>,
    /// The home directory, if the user has one.
    pub home: Option<Vec<u8>>,
}
