//! Files with options.

use std::path::Path;

use toml::Table;

use super::error::LayerError;

/// The longest `pyproject.toml` that is read, bytes.
const PROJECT: u64 = 1 << 20;

/// Reads the text of a file with options; `origin`: its name in an error.
///
/// # Errors
/// [`LayerError::File`]
pub(super) fn parse(origin: &str, text: &str) -> Result<Table, LayerError> {
    let failed = |error: toml::de::Error| {
        let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].lines().count().max(1));
        LayerError::File { origin: origin.to_owned(), reason: format!("line {line}: {}", error.message()) }
    };
    text.parse::<Table>().map_err(failed)
}

/// The text of a file that is named.
///
/// # Errors
/// Why it cannot be used, in words.
pub(super) fn read(path: &Path) -> Result<String, String> {
    trusted(path)?;
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}

/// The text of a file that the owner of the current directory has put there: of a regular file, read without waiting,
/// and of no more than any project has.
pub(super) fn text_of(path: &Path) -> Option<String> {
    use std::io::Read;
    let mut options = std::fs::File::options();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, nix::libc::O_NONBLOCK);
    let file = options.read(true).open(path).ok()?;
    let found = file.metadata().ok()?;
    let mut text = String::new();
    let is_short = found.is_file() && found.len() <= PROJECT;
    (is_short && file.take(PROJECT).read_to_string(&mut text).is_ok()).then_some(text)
}

/// Checks that root may take options from a file: they make root run programs and read files, so nobody else may be
/// able to write it.
#[cfg(unix)]
pub(super) fn trusted(path: &Path) -> Result<(), String> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    let path = std::path::absolute(path).map_err(|error| error.to_string())?;
    wsgi_unix::files::check_file(&path, &wsgi_unix::files::Owners::own()).map_err(|reason| reason.to_string())
}

#[cfg(not(unix))]
pub(super) fn trusted(_path: &Path) -> Result<(), String> {
    Ok(())
}
