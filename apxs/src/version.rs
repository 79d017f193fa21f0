//! Version numbers, from the headers or from what `httpd -V` prints.

use std::fmt;
use std::str::FromStr;

/// A release of httpd, such as 2.4.62.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The first number, 2.
    pub major: u32,
    /// The second number, 4.
    pub minor: u32,
    /// The third number, such as 62.
    pub patch: u32,
}

/// The module magic number: a server loads modules of the same `major` and of no later `minor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ModuleMagic {
    /// The number that changes with each incompatible change (20120211 in all of 2.4).
    pub major: u32,
    /// The number that counts compatible additions.
    pub minor: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl fmt::Display for ModuleMagic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

impl Version {
    /// Reads the version from the text of `ap_release.h`.
    pub(crate) fn from_header(text: &str) -> Option<Self> {
        Some(Self {
            major: macro_value(text, "AP_SERVER_MAJORVERSION_NUMBER")?,
            minor: macro_value(text, "AP_SERVER_MINORVERSION_NUMBER")?,
            patch: macro_value(text, "AP_SERVER_PATCHLEVEL_NUMBER")?,
        })
    }

    /// Reads the version from the line `Server version: Apache/2.4.62 (Debian)`.
    pub(crate) fn from_server(text: &str) -> Option<Self> {
        let mut numbers = after(text, "Apache/")?.split('.').map(leading_number);
        Some(Self { major: numbers.next()??, minor: numbers.next()??, patch: numbers.next()?? })
    }
}

impl ModuleMagic {
    /// Reads the number from the text of `ap_mmn.h`.
    pub(crate) fn from_header(text: &str) -> Option<Self> {
        Some(Self {
            major: macro_value(text, "MODULE_MAGIC_NUMBER_MAJOR")?,
            minor: macro_value(text, "MODULE_MAGIC_NUMBER_MINOR")?,
        })
    }

    /// Reads the number from the line `Server's Module Magic Number: 20120211:131`.
    pub(crate) fn from_server(text: &str) -> Option<Self> {
        let (major, minor) = after(text, "Module Magic Number:")?.trim_start().split_once(':')?;
        Some(Self { major: leading_number(major)?, minor: leading_number(minor)? })
    }
}

/// The number that a header defines `name` as.
fn macro_value(text: &str, name: &str) -> Option<u32> {
    text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("#define") && words.next() == Some(name)).then(|| words.next()?.parse().ok())?
    })
}

/// Returns the rest of the line after `mark`.
fn after<'t>(text: &'t str, mark: &str) -> Option<&'t str> {
    text.lines().find_map(|line| line.split_once(mark)).map(|(_, rest)| rest)
}

fn leading_number(text: &str) -> Option<u32> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    u32::from_str(&text[..end]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_the_headers() {
        let release = "/* #define AP_SERVER_MAJORVERSION_NUMBER 9 */\n#define AP_SERVER_MAJORVERSION_NUMBER 2\n\
                       #define AP_SERVER_MINORVERSION_NUMBER 4\n#define AP_SERVER_PATCHLEVEL_NUMBER   62\n";
        let mmn = "#define MODULE_MAGIC_COOKIE 0x41503234UL /* \"AP24\" */\n#define MODULE_MAGIC_NUMBER_MAJOR 20120211\n\
                   #define MODULE_MAGIC_NUMBER_MINOR 131                 /* 0...n */\n";
        assert_eq!(Version::from_header(release).unwrap().to_string(), "2.4.62");
        assert_eq!(ModuleMagic::from_header(mmn), Some(ModuleMagic { major: 20_120_211, minor: 131 }));
        assert_eq!(Version::from_header(mmn), None);
    }

    #[test]
    fn from_what_the_server_prints() {
        let debian = "Server version: Apache/2.4.62 (Debian)\nServer built:   2024-10-04T15:21:08\n\
                      Server's Module Magic Number: 20120211:131\n";
        assert_eq!(Version::from_server(debian), Some(Version { major: 2, minor: 4, patch: 62 }));
        assert_eq!(ModuleMagic::from_server(debian), Some(ModuleMagic { major: 20_120_211, minor: 131 }));
        assert_eq!(Version::from_server("Server version: Apache/2.4.60-dev (Unix)").unwrap().patch, 60);
        assert_eq!(Version::from_server("BusyBox httpd"), None);
    }
}
