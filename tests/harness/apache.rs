//! Where the Apache is that the tests boot.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// An Apache installation: its server program and the folder with its own modules.
pub(crate) struct Apache {
    pub httpd: PathBuf,
    pub modules: PathBuf,
}

/// The installation that `apxs` describes.
pub(crate) fn apache() -> &'static Apache {
    static APACHE: OnceLock<Apache> = OnceLock::new();
    APACHE.get_or_init(|| {
        let ask = |what: &str| {
            let done = Command::new("apxs").args(["-q", what]).output().expect("apxs runs");
            String::from_utf8(done.stdout).expect("apxs prints text").trim().to_owned()
        };
        Apache { httpd: PathBuf::from(ask("SBINDIR")).join(ask("PROGNAME")), modules: ask("LIBEXECDIR").into() }
    })
}
