//! Directives and sections, and how they become lines.

use std::fmt::Write;

use crate::arg::{Arg, DOLLAR};

/// The length from which on lines are continued, with one argument on each.
const LINE: usize = 160;

/// A value that no configuration file can hold.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the value {text:?} for {directive} contains a line break or another control character; remove it")]
pub struct ValueError {
    /// The directive that the value was meant for.
    pub directive: &'static str,
    /// The value of the argument.
    pub text: String,
}

/// A directive with its arguments.
#[derive(Debug)]
pub struct Directive {
    name: &'static str,
    args: Vec<Arg>,
}

impl Directive {
    fn new(name: &'static str) -> Self {
        Self { name, args: Vec::new() }
    }

    /// Adds an argument.
    pub fn arg(&mut self, arg: impl Into<Arg>) -> &mut Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments, one by one.
    pub fn args<A: Into<Arg>>(&mut self, args: impl IntoIterator<Item = A>) -> &mut Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Adds an argument `name=value`.
    pub fn setting(&mut self, name: &'static str, value: impl Into<String>) -> &mut Self {
        self.arg(Arg::Setting(name, value.into()))
    }

    /// Adds a regular expression of mod_rewrite.
    pub fn pattern(&mut self, pattern: impl Into<String>) -> &mut Self {
        self.arg(Arg::Pattern(pattern.into()))
    }

    fn words(&self) -> Result<Vec<String>, ValueError> {
        if let Some(arg) = self.args.iter().find(|a| a.text().contains(|c: char| c.is_control() && c != '\t')) {
            return Err(ValueError { directive: self.name, text: arg.text().to_owned() });
        }
        Ok(std::iter::once(self.name.to_owned()).chain(self.args.iter().map(Arg::quoted)).collect())
    }
}

/// One line of a configuration, or a section with the lines in it.
#[derive(Debug)]
enum Line {
    Comment(String),
    Directive(Directive),
    Section(Directive, Block),
}

/// Lines of configuration, in order.
#[derive(Debug, Default)]
pub struct Block {
    lines: Vec<Line>,
}

impl Block {
    /// A comment, set off by an empty line: what follows and the option that it comes from.
    pub fn comment(&mut self, text: impl Into<String>) {
        self.lines.push(Line::Comment(text.into()));
    }

    /// Adds a directive, to be given its arguments.
    pub fn directive(&mut self, name: &'static str) -> &mut Directive {
        self.lines.push(Line::Directive(Directive::new(name)));
        match self.lines.last_mut() {
            Some(Line::Directive(directive)) => directive,
            _ => unreachable!("a directive was just added"),
        }
    }

    /// Adds a directive with one argument.
    pub fn set(&mut self, name: &'static str, arg: impl Into<Arg>) {
        self.directive(name).arg(arg);
    }

    /// Adds `<name argument>` … `</name>`.
    pub fn section(&mut self, name: &'static str, arg: impl Into<Arg>, fill: impl FnOnce(&mut Block)) {
        let mut head = Directive::new(name);
        head.arg(arg);
        self.nest(head, fill);
    }

    /// Adds a section without an argument.
    pub fn bare_section(&mut self, name: &'static str, fill: impl FnOnce(&mut Block)) {
        self.nest(Directive::new(name), fill);
    }

    fn nest(&mut self, head: Directive, fill: impl FnOnce(&mut Block)) {
        let mut inner = Block::default();
        fill(&mut inner);
        self.lines.push(Line::Section(head, inner));
    }

    /// The text of the file.
    ///
    /// # Errors
    /// [`ValueError`] when a value contains a control character.
    pub fn render(&self) -> Result<String, ValueError> {
        let mut text = String::new();
        self.write(&mut text, 0)?;
        if text.contains(&format!("${{{DOLLAR}}}")) {
            text.insert_str(0, &format!("# Keeps ${{...}} in a value as it is.\nDefine {DOLLAR} $\n\n"));
        }
        Ok(text)
    }

    fn write(&self, out: &mut String, depth: usize) -> Result<(), ValueError> {
        let indent = "    ".repeat(depth);
        for (i, line) in self.lines.iter().enumerate() {
            match line {
                Line::Comment(text) => {
                    let gap = if i == 0 { "" } else { "\n" };
                    let _ = writeln!(out, "{gap}{indent}# {text}");
                }
                Line::Directive(directive) => {
                    let words = directive.words()?;
                    let whole = words.join(" ");
                    let text = if whole.len() <= LINE { whole } else { words.join(&format!(" \\\n{indent}    ")) };
                    let _ = writeln!(out, "{indent}{text}");
                }
                Line::Section(head, block) => {
                    let _ = writeln!(out, "{indent}<{}>", head.words()?.join(" "));
                    block.write(out, depth + 1)?;
                    let _ = writeln!(out, "{indent}</{}>", head.name);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_nest_and_long_lines_continue() {
        let mut block = Block::default();
        block.comment("--url-alias");
        block.section("Directory", "/my site", |d| {
            d.directive("Require").args(["all", "granted"]);
        });
        block.directive("WSGIDaemonProcess").arg("a").setting("home", "/h".repeat(90));
        let text = block.render().unwrap();
        assert!(text.starts_with("# --url-alias\n<Directory \"/my site\">\n    Require all granted\n</Directory>\n"));
        assert!(text.contains("WSGIDaemonProcess \\\n    a \\\n    home=/h"));
    }

    #[test]
    fn dollar_is_defined_when_it_is_needed() {
        let mut block = Block::default();
        block.directive("SetEnv").arg("A").arg("${B}");
        let text = block.render().unwrap();
        assert!(text.contains("Define MOD_WSGI_DOLLAR $\n") && text.ends_with("SetEnv A \"${MOD_WSGI_DOLLAR}{B}\"\n"));
    }

    #[test]
    fn control_characters_are_refused() {
        let mut block = Block::default();
        block.set("ServerName", "a\nUser root");
        assert_eq!(block.render(), Err(ValueError { directive: "ServerName", text: "a\nUser root".to_owned() }));
    }
}
