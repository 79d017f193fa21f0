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

#[cfg(test)]
impl Node {
    /// The directive that a line of a test has.
    pub fn of_line(line: &str) -> Self {
        let (name, arguments) = line.split_once(' ').unwrap();
        Self { name: name.into(), arguments: arguments.into(), inside: Vec::new() }
    }
}
