//! A configuration that is read without httpd, by the unit tests and the fuzz targets.
#![forbid(unsafe_code)]

use super::DIRECTIVES;
use super::configuration::Configuration;
use super::directive::{Host, Line, Nested, Setter};
use super::settings::{RequestSettings, ServerSettings};
use crate::httpd::regex::Regex;
use crate::httpd::user::User;
use crate::policy::origin::Origin;
use crate::policy::words::show;

/// A machine with the users `root` and `www-data` and the group `staff`.
struct Machine {
    is_htaccess: bool,
}

impl Host for Machine {
    fn user(&self, text: &[u8]) -> Option<User> {
        let (uid, name) = match text {
            b"root" | b"#0" => (0, "root"),
            b"www-data" | b"#33" => (33, "www-data"),
            _ => return None,
        };
        Some(User { uid, gid: uid, name: name.into(), home: None })
    }

    fn group(&self, text: &[u8]) -> Option<u32> {
        (text == b"staff" || text == b"#50").then_some(50)
    }

    fn server_root_path(&self, path: &[u8]) -> Option<Vec<u8>> {
        Some(if path.starts_with(b"/") { path.to_vec() } else { [b"/srv/", path].concat() })
    }

    fn is_htaccess(&self) -> bool {
        self.is_htaccess
    }

    fn regex(&self, pattern: &[u8]) -> Option<Regex> {
        (pattern != b"(").then(Regex::placeholder)
    }
}

/// What all directives of a configuration leave behind.
#[derive(Debug, Clone)]
pub struct Trial {
    /// The settings of requests, whatever section they stand in.
    pub request: RequestSettings,
    /// The settings of the server.
    pub server: ServerSettings,
    /// The configuration of the whole process.
    pub process: Configuration,
}

/// Reads a configuration, one directive in each line. What is inside a section follows it, separated by `|`. The error
/// is what httpd would print.
pub fn read(text: &[u8]) -> Result<Trial, String> {
    read_on(&Machine { is_htaccess: false }, text)
}

/// Reads lines as those of a `.htaccess` file; see [`read`].
#[cfg(test)]
pub fn read_in_htaccess(text: &[u8]) -> Result<Trial, String> {
    read_on(&Machine { is_htaccess: true }, text)
}

fn read_on(machine: &Machine, text: &[u8]) -> Result<Trial, String> {
    let mut left = Trial {
        request: RequestSettings::default(),
        server: ServerSettings::default(),
        process: Configuration::EMPTY.clone(),
    };
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let mut parts = line.split(|byte| *byte == b'|').filter(|part| !part.is_empty()).map(name_and_arguments);
        let Some((name, arguments)) = parts.next() else { continue };
        let nested = parts.map(|(name, arguments)| Nested { name, arguments }).collect();
        let directive = DIRECTIVES.iter().find(|directive| directive.name.to_bytes() == name);
        let directive = directive.ok_or_else(|| format!("no directive {}", show(name)))?;
        let line = Line { arguments, host: machine, origin: Origin::default(), nested };
        let Trial { request, server, process } = &mut left;
        match directive.set {
            Setter::Request(set) => set(request, &line),
            Setter::Server(set) => set(server, process, &line),
            Setter::Global(set) => set(process, &line),
        }
        .map_err(|error| error.to_string())?;
    }
    Ok(left)
}

fn name_and_arguments(line: &[u8]) -> (&[u8], &[u8]) {
    let end = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
    (&line[..end], line.get(end + 1..).unwrap_or_default())
}
