//! Paths as the caller means them: relative to the current directory.

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use super::error::PlanError;

/// The directory that relative paths start from.
#[derive(Debug)]
pub struct Directory<'a>(&'a Utf8Path);

impl<'a> Directory<'a> {
    /// Makes the start of paths relative to `directory`, which is absolute.
    pub fn new(directory: &'a Utf8Path) -> Self {
        Self(directory)
    }

    /// Makes a path absolute, without `.` and `..`, and without slashes at its end.
    pub fn absolute(&self, path: impl AsRef<Utf8Path>) -> Utf8PathBuf {
        let mut out = Utf8PathBuf::new();
        for component in self.0.join(path).components() {
            match component {
                Utf8Component::CurDir => {}
                Utf8Component::ParentDir => {
                    out.pop();
                }
                other => out.push(other),
            }
        }
        out
    }

    /// Makes a path absolute, or returns another one if none is given.
    pub fn absolute_or(&self, path: Option<&Utf8Path>, default: impl FnOnce() -> Utf8PathBuf) -> Utf8PathBuf {
        path.map_or_else(default, |path| self.absolute(path))
    }

    /// Makes a path absolute and checks that it exists.
    pub fn existing(&self, option: &'static str, path: impl AsRef<Utf8Path>) -> Result<Utf8PathBuf, PlanError> {
        let path = self.absolute(path);
        match path.metadata() {
            Ok(_) => Ok(path),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(PlanError::Missing { option, path }),
            Err(source) => Err(PlanError::Unreadable { option, path, source }),
        }
    }

    /// Does the same for an option that may be left out.
    pub fn existing_opt(
        &self,
        option: &'static str,
        path: Option<&Utf8PathBuf>,
    ) -> Result<Option<Utf8PathBuf>, PlanError> {
        path.map(|path| self.existing(option, path)).transpose()
    }

    /// Does the same for an option that may be repeated.
    pub fn existing_all(&self, option: &'static str, paths: &[Utf8PathBuf]) -> Result<Vec<Utf8PathBuf>, PlanError> {
        paths.iter().map(|path| self.existing(option, path)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths_start_at_the_current_directory() {
        let here = Directory::new("/srv/site".into());
        for (path, expected) in
            [("a", "/srv/site/a"), ("../b/./c/", "/srv/b/c"), ("/x//y/", "/x/y"), ("", "/srv/site"), ("../../..", "/")]
        {
            assert_eq!(here.absolute(path), expected);
        }
    }
}
