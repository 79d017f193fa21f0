//! Stand-ins for the commands that need a Unix. They are never reached: the caller refuses before.

use camino::{Utf8Path, Utf8PathBuf};

use crate::error::Error;
use crate::facts::Facts;
use crate::options::{CheckOptions, Options};

pub fn serve(_: &Options, _: &Facts, _: bool) -> Result<i32, Error> {
    Err(Error::Windows)
}

pub fn examine(_: &CheckOptions, _: &Facts) -> Result<i32, Error> {
    Err(Error::Windows)
}

pub fn dependent(_: &Utf8Path, _: i32, _: bool) -> Result<i32, Error> {
    Err(Error::Windows)
}

pub fn judge() -> Result<i32, Error> {
    Err(Error::Windows)
}

pub fn install(_: &Facts, _: Option<Utf8PathBuf>) -> Result<i32, Error> {
    Err(Error::Windows)
}
