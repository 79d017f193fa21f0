//! Which server a directive stands in.
#![forbid(unsafe_code)]

/// The server that a directive stands in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// Tells servers of one configuration apart.
    pub id: usize,
    /// Whether it is a `<VirtualHost>`.
    pub is_virtual: bool,
    /// `ServerName`, if known by now.
    pub hostname: Option<Vec<u8>>,
}
