//! The numbers by which our programs find the descriptors that they are started with. Standard input, output and error
//! come before them.

/// The variable in which `mod_wsgi-express start-server` lists the numbers of the sockets that Apache is to listen at:
/// those that systemd has passed to the command, and unix sockets that it has made itself.
pub const PASSED_SOCKETS: &str = "MOD_WSGI_LISTEN_FDS";

/// The descriptors that the Apache parent leaves to the supervisor.
pub mod supervisor {
    /// The control socket.
    pub const CONTROL: i32 = 3;
    /// The process table.
    pub const TABLE: i32 = 4;
    /// The scoreboard, where a group has `server-metrics`.
    pub const SCOREBOARD: i32 = 5;
    /// The first number that has no meaning.
    pub const FIRST_UNNAMED: i32 = 6;
}

/// The descriptors that the supervisor leaves to its exporter. Standard input is a pipe that it closes when the
/// exporter is to end.
pub mod exporter {
    /// The socket from which it reads spans and figures.
    pub const TOLD: i32 = 3;
}

/// The descriptors that the supervisor leaves to a daemon process.
pub mod daemon {
    /// The control socket.
    pub const CONTROL: i32 = 3;
    /// The socket that Apache's children connect to.
    pub const LISTENER: i32 = 4;
    /// The pages of the process's group.
    pub const PAGES: i32 = 5;
    /// Its flight recorder.
    pub const RECORDER: i32 = 6;
    /// The socket for its records.
    pub const RECORDS: i32 = 7;
    /// The scoreboard, with `server-metrics` only.
    pub const SCOREBOARD: i32 = 8;
    /// The first number that has no meaning.
    pub const FIRST_UNNAMED: i32 = 9;
}
