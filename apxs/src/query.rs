//! Questions to `apxs` and APR's `*-config` programs.

use std::env;
use std::ffi::OsStr;
use std::iter;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::program;

/// `$APXS` (a path or a name), else the first of the usual names. `mod_wsgi-apxs` comes with an Apache installed by
/// pip.
pub fn find_apxs() -> Result<PathBuf, Error> {
    if let Some(wanted) = env::var_os("APXS").filter(|value| !value.is_empty()) {
        return program::find(&wanted).ok_or_else(|| Error::WrongApxs(wanted.into()));
    }
    ["mod_wsgi-apxs", "apxs2", "apxs"].iter().find_map(|name| program::find(OsStr::new(name))).ok_or(Error::NoApxs)
}

/// The value of a variable of `apxs -q`.
pub fn apxs(apxs: &Path, name: &str) -> Result<String, Error> {
    program::output(apxs, &["-q", name])
}

/// The values of several variables: of one call, which takes several processes and 15 ms, where this `apxs` knows all
/// of them and puts `;;` between them, as most do; else each of its own call.
pub fn apxs_all<const N: usize>(apxs_program: &Path, names: [&str; N]) -> Result<[String; N], Error> {
    let arguments: Vec<&str> = iter::once("-q").chain(names).collect();
    if let Some(values) = program::output(apxs_program, &arguments).ok().and_then(|answer| separated(&answer)) {
        return Ok(values);
    }
    let mut values = [const { String::new() }; N];
    for (value, name) in values.iter_mut().zip(names) {
        *value = apxs(apxs_program, name)?;
    }
    Ok(values)
}

/// Splits an answer of several values.
fn separated<const N: usize>(answer: &str) -> Option<[String; N]> {
    let values: Vec<String> = answer.split(";;").map(|value| value.trim().to_owned()).collect();
    values.try_into().ok()
}

/// Compiler arguments for using APR or APR-util, from the `*-config` program that apxs calls `variable`; empty if there
/// is none, since the directories that apxs itself names may do.
pub fn apr_arguments(apxs_program: &Path, variable: &str) -> String {
    let answer = apxs(apxs_program, variable).and_then(|config| {
        let config = Path::new(&config);
        let includes = program::output(config, &["--includes"])?;
        // apu-1-config knows no --cppflags.
        let defines = program::output(config, &["--cppflags"]).unwrap_or_default();
        Ok(format!("{includes} {defines}"))
    });
    answer.unwrap_or_default()
}

/// Directories of `-I` arguments, each once and in order. Left out are relative ones (apxs names the directory it was
/// built in) and those that every compiler searches anyway, which must not be moved to the front.
pub fn include_dirs(arguments: &str) -> Vec<PathBuf> {
    let mut dirs = Vec::new();
    let mut words = arguments.split_whitespace();
    while let Some(word) = words.next() {
        let dir = match word {
            "-I" | "-isystem" => words.next(),
            _ => word.strip_prefix("-I"),
        };
        let Some(dir) = dir.map(PathBuf::from) else { continue };
        if dir.is_absolute() && dir != Path::new("/usr/include") && !dirs.contains(&dir) {
            dirs.push(dir);
        }
    }
    dirs
}

/// The `-D` arguments, each once and in order. `_FORTIFY_SOURCE` is left out: it concerns code, not types, and warns
/// without optimisation.
pub fn defines(arguments: &str) -> Vec<String> {
    let mut defines: Vec<String> = Vec::new();
    for word in arguments.split_whitespace() {
        if word.starts_with("-D") && !word.starts_with("-D_FORTIFY_SOURCE") && !defines.iter().any(|d| d == word) {
            defines.push(word.to_owned());
        }
    }
    defines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_values_are_told_apart_or_not_at_all() {
        assert_eq!(separated("/usr/sbin;;apache2;;"), Some(["/usr/sbin", "apache2", ""].map(str::to_owned)));
        assert_eq!(separated::<3>("/usr/sbin;;apache2"), None);
        assert_eq!(separated::<2>("/usr/sbin apache2"), None);
    }

    #[test]
    fn include_directories_of_debian() {
        let arguments = "-I/usr/include/apache2 -I. -I/usr/include/apr-1.0 -I/usr/include  -I/usr/include/apr-1.0";
        assert_eq!(include_dirs(arguments), [Path::new("/usr/include/apache2"), Path::new("/usr/include/apr-1.0")]);
    }

    #[test]
    fn include_directories_in_two_words() {
        assert_eq!(include_dirs("-DX -isystem /opt/apr -I /opt/apu"), [Path::new("/opt/apr"), Path::new("/opt/apu")]);
    }

    #[test]
    fn defines_once_and_without_what_is_not_about_types() {
        let arguments = "-Wdate-time -D_FORTIFY_SOURCE=2 -DLINUX -D_REENTRANT -D_LARGEFILE64_SOURCE  -DLINUX -g";
        assert_eq!(defines(arguments), ["-DLINUX", "-D_REENTRANT", "-D_LARGEFILE64_SOURCE"]);
    }
}
