//! What a directive is, and a line of the configuration as its setter sees it.
#![forbid(unsafe_code)]

use std::ffi::CStr;

use super::configuration::Configuration;
use super::settings::{RequestSettings, ServerSettings};
use crate::httpd::regex::Regex;
use crate::httpd::user::User;
use crate::policy::origin::Origin;
use crate::policy::words::ArgumentError;

/// Where a directive may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Context {
    /// At the top level of the main server only.
    Global,
    /// In the main server and in virtual hosts.
    Server,
    /// Anywhere but in `.htaccess`.
    Configuration,
    /// Anywhere; in `.htaccess` with `AllowOverride FileInfo`.
    FileInfo,
    /// In directory-like sections; in `.htaccess` with `AllowOverride AuthConfig`.
    Access,
}

/// The settings that a directive changes, and the function that changes them.
#[derive(Clone, Copy)]
pub enum Setter {
    /// The settings of requests, in the section that the directive stands in.
    Request(fn(&mut RequestSettings, &Line<'_>) -> Result<(), ArgumentError>),
    /// The settings of the server that the directive stands in.
    Server(fn(&mut ServerSettings, &mut Configuration, &Line<'_>) -> Result<(), ArgumentError>),
    /// The configuration that the whole process shares.
    Global(fn(&mut Configuration, &Line<'_>) -> Result<(), ArgumentError>),
}

/// One row of the table of directives.
pub struct Directive {
    /// The directive's name, that of a section with `<` in front.
    pub name: &'static CStr,
    /// What `httpd -L` prints about it.
    pub help: &'static CStr,
    /// The places of a configuration in which it may stand.
    pub context: Context,
    /// The function that reads its words and sets what they say.
    pub set: Setter,
}

/// A line of the configuration as a setter sees it.
pub struct Line<'l> {
    /// What follows the directive's name.
    pub arguments: &'l [u8],
    /// What setters may ask.
    pub host: &'l dyn Host,
    /// The server that the line stands in.
    pub origin: Origin,
    /// The directives inside, if this is a section.
    pub nested: Vec<Nested<'l>>,
}

/// A directive inside a section of ours.
pub struct Nested<'l> {
    /// The directive's name.
    pub name: &'l [u8],
    /// The words that follow the name.
    pub arguments: &'l [u8],
}

/// What setters ask of the server and the machine.
pub trait Host {
    /// Looks a user up by name or `#uid`.
    fn user(&self, text: &[u8]) -> Option<User>;

    /// Looks a group up by name or `#gid`.
    fn group(&self, text: &[u8]) -> Option<u32>;

    /// A path made absolute: relative ones start at `ServerRoot`.
    fn server_root_path(&self, path: &[u8]) -> Option<Vec<u8>>;

    /// Whether the line stands in a `.htaccess` file, which others may write than the server's configuration.
    fn is_htaccess(&self) -> bool;

    /// Compiles a pattern that lives as long as the configuration; `None` if it is invalid.
    fn regex(&self, pattern: &[u8]) -> Option<Regex>;
}
