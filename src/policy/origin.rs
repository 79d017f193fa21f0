//! Which server a directive stands in.
#![forbid(unsafe_code)]

/// The server that a directive stands in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// A number that no other server of this configuration has.
    pub id: usize,
    /// Whether it is a `<VirtualHost>`.
    pub is_virtual: bool,
    /// The `ServerName`, if it is known by now.
    pub hostname: Option<Vec<u8>>,
}
