//! The configuration as a tree of directives, before anybody has made settings of it.
#![forbid(unsafe_code)]

/// A directive as it was read, with what stands inside if it is a section.
#[derive(Debug, Clone, Default)]
pub struct Node {
    /// Its name, that of a section with `<` in front.
    pub name: Vec<u8>,
    /// The words that follow the name, as they are written.
    pub arguments: Vec<u8>,
    /// The directives that stand inside of a section.
    pub inside: Vec<Node>,
}
