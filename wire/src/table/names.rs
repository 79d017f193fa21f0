//! The names of process groups in the table, and of sockets in the file system.

use crate::codec::digest;

/// The key of a process group in the table, made of its name. The Apache half refuses a configuration in which two keys
/// collide.
pub fn group_key(name: &[u8]) -> u64 {
    digest(name)
}

/// The path of the socket of the process in a slot. `prefix` is `WSGISocketPrefix`, `parent` the Apache parent's pid.
pub fn socket_path(prefix: &str, parent: u32, slot: usize, serial: u32) -> String {
    format!("{prefix}.{parent}.{slot}.{serial}.sock")
}

/// The path of the administrator's socket of a server.
pub fn control_path(prefix: &str, parent: u32) -> String {
    format!("{prefix}.{parent}.control.sock")
}

/// The longest suffix that [`socket_path`] adds: a prefix must leave room for it within `sun_path`.
pub const SOCKET_SUFFIX: usize = ".4294967295.511.4294967295.sock".len();

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::SLOTS;

    #[test]
    fn socket_names_fit_the_announced_room() {
        let longest = socket_path("", u32::MAX, SLOTS - 1, u32::MAX);
        assert_eq!(longest.len(), SOCKET_SUFFIX);
        assert!(control_path("", u32::MAX).len() <= SOCKET_SUFFIX);
    }
}
