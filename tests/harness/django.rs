//! Django projects, made by Django's own commands.

use crate::processes::{ORDINARY_USER, is_root};
use crate::product::product;
use crate::scratch::Scratch;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What `django-admin startproject mysite` makes, in a directory of its own.
pub struct Project {
    scratch: Scratch,
}

impl Project {
    /// A new project.
    #[must_use]
    pub fn new() -> Self {
        let scratch = Scratch::new();
        let admin = product().program("django-admin");
        assert!(admin.exists(), "{} is not there: install Django into the environment under test.", admin.display());
        succeed(Command::new(admin).args(["startproject", "mysite"]).current_dir(scratch.path()));
        Self { scratch }
    }

    /// The directory in which the project was made.
    #[must_use]
    pub fn parent(&self) -> &Path {
        self.scratch.path()
    }

    /// The directory with `manage.py`.
    #[must_use]
    pub fn base(&self) -> PathBuf {
        self.scratch.path().join("mysite")
    }

    /// Adds lines to the settings.
    pub fn add_settings(&self, lines: &str) {
        let path = self.base().join("mysite/settings.py");
        let mut file =
            OpenOptions::new().append(true).open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        writeln!(file, "\n{lines}").expect("a writable file");
    }

    /// `python manage.py` with these words, which must succeed.
    pub fn manage(&self, words: &[&str]) {
        succeed(Command::new(product().program("python")).arg("manage.py").args(words).current_dir(self.base()));
    }

    /// Lets the user that the server runs as write here, as somebody who works in a home directory of their own may.
    pub fn give_away(&self) {
        if is_root() {
            self.scratch.give_to(ORDINARY_USER);
        }
    }
}

impl Default for Project {
    fn default() -> Self {
        Self::new()
    }
}

fn succeed(command: &mut Command) {
    let done = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&[done.stdout, done.stderr].concat()));
}
