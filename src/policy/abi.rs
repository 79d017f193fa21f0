//! Which httpd may use this module. Its ABI is that of all 2.4: what a later one has brought is looked up when the
//! module is loaded. httpd itself refuses a module of another ABI.
#![forbid(unsafe_code)]

use std::fmt;

/// A version of httpd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32, pub u32);

/// The oldest that has what this module uses.
const OLDEST: Version = Version(2, 4, 41);

/// The first of the next ABI.
const NEXT: Version = Version(2, 5, 0);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// Why this httpd may not use the module that was built with the headers of another one, in one sentence.
pub fn refusal(running: Version, built: Version) -> Option<String> {
    let is_known = (OLDEST..NEXT).contains(&running);
    (!is_known).then(|| {
        format!(
            "This module needs Apache {OLDEST} or a later 2.4 (it was built with the headers of {built}), and this is \
             Apache {running}: install such a version"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_later_2_4_is_taken_whatever_the_headers_were() {
        let refused = |running| refusal(running, Version(2, 4, 66)).is_some();
        for known in [Version(2, 4, 41), Version(2, 4, 66), Version(2, 4, 120)] {
            assert!(!refused(known), "{known}");
        }
        for other in [Version(2, 4, 40), Version(2, 2, 66), Version(2, 5, 0), Version(3, 0, 0)] {
            assert!(refused(other), "{other}");
        }
    }

    #[test]
    fn a_refusal_is_one_sentence_with_all_three_versions() {
        let sentence = refusal(Version(2, 4, 38), Version(2, 4, 66)).unwrap();
        for version in ["2.4.41", "2.4.66", "2.4.38"] {
            assert!(sentence.contains(version), "{sentence}");
        }
    }
}
