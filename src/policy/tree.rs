//! The configuration as a tree of directives, before anybody has made settings of it.
#![forbid(unsafe_code)]

/// A directive as it was read, with what stands inside if it is a section.
#[derive(Debug, Clone, Default)]
pub struct Node {
    /// Its name, that of a section with `<` in front.
    pub name: Vec<u8>,
    /// What follows.
    pub arguments: Vec<u8>,
    /// What stands inside.
    pub inside: Vec<Node>,
}
