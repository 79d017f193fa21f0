//! Files as content of a response: Apache sends them from the descriptor that it is given.

use std::fs::File as Opened;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::types::{PyAnyMethods, PyBytes, PyBytesMethods, PyDictMethods, PyString};
use pyo3::{Bound, PyAny, PyResult};
use rustix::fs::{FileType, Mode, OFlags, SeekFrom};
use wsgi_unix::descriptor;
use wsgi_wire::response::File;

use crate::asgi::exchange::Stage;
use crate::asgi::sending::Sending;
use crate::request::output;

/// The part of a file that is sent.
struct Piece {
    file: OwnedFd,
    offset: u64,
    length: u64,
    /// Whether this is all of the file.
    whole: bool,
}

fn io(error: rustix::io::Errno, path: &Path) -> std::io::Error {
    let error = std::io::Error::from(error);
    std::io::Error::new(error.kind(), format!("'{}': {error}", path.display()))
}

/// A regular file's size; `None` if its content is made while it is read, so that the size says nothing.
fn size(file: &OwnedFd) -> PyResult<Option<u64>> {
    let stat = rustix::fs::fstat(file).map_err(std::io::Error::from)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(PyValueError::new_err("only a regular file can be sent"));
    }
    Ok((stat.st_blocks > 0).then(|| u64::try_from(stat.st_size).unwrap_or(0)))
}

/// Sends a file by its path, for `http.response.pathsend`: this process opens it, with its rights.
pub(super) fn send_path<'py>(sending: &Sending<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    let path = sending.message.get_item(sending.objects.names.path.bind(sending.py))?;
    let path = path.ok_or_else(|| PyValueError::new_err("'http.response.pathsend' has no path"))?;
    let path = path.py().import("os")?.call_method1("fsencode", (path,))?;
    let path = path.cast::<PyBytes>().map_err(|_| PyTypeError::new_err("a path is a str"))?;
    let path = Path::new(std::ffi::OsStr::from_bytes(path.as_bytes()));
    // Neither a pipe nor a device may hold the loop up.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| io(error, path))?;
    match size(&file)? {
        Some(length) => send(sending, Piece { file, offset: 0, length, whole: true }, false),
        None => read(sending, file, 0, None, false),
    }
}

/// Sends a file that the application has open, for `http.response.zerocopysend`.
pub(super) fn send_file<'py>(sending: &Sending<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    let (py, names) = (sending.py, &sending.objects.names);
    let get = |name: &Bound<'py, PyString>| sending.message.get_item(name).map(|it| it.filter(|it| !it.is_none()));
    let number = |name| get(name)?.map(|value| value.extract::<u64>()).transpose();
    let file =
        get(names.file.bind(py))?.ok_or_else(|| PyValueError::new_err("'http.response.zerocopysend' has no file"))?;
    let number_of_file: i32 = match file.extract() {
        Ok(number) => number,
        Err(_) => file.call_method0("fileno")?.extract()?,
    };
    let (given, count) = (number(names.offset.bind(py))?, number(names.count.bind(py))?);
    let own = descriptor::duplicate(number_of_file).ok_or_else(|| PyValueError::new_err("the file is not open"))?;
    let position = || rustix::fs::seek(&own, SeekFrom::Current(0)).map_err(std::io::Error::from);
    let offset = given.map_or_else(position, Ok)?;
    let more = sending.more()?;
    let Some(size) = size(&own)? else { return read(sending, own, offset, count, more) };
    let available = size.saturating_sub(offset);
    let length = count.map_or(available, |count| count.min(available));
    if given.is_none() {
        rustix::fs::seek(&own, SeekFrom::Start(offset + length)).map_err(std::io::Error::from)?;
    }
    let whole = !more && offset == 0 && length == size;
    send(sending, Piece { file: own, offset, length, whole }, more)
}

fn send<'py>(sending: &Sending<'_, 'py>, piece: Piece, more: bool) -> PyResult<Bound<'py, PyAny>> {
    let Piece { file, offset, length, whole } = piece;
    let first = sending.stage == Stage::Started;
    sending.transmit(more, |live| {
        live.finalize_log();
        let is_plain = first && live.response.is_plain();
        output::commit(live, (first && !more).then_some(length))?;
        let length = live.response.admit(length);
        live.counts.output_length += length;
        if length > 0 {
            let whole = whole && is_plain && !live.response.is_short();
            live.transport.file(file, File { offset, length, whole });
        }
        Ok(())
    })
}

/// Sends a file whose size is not known before it is read.
fn read<'py>(
    sending: &Sending<'_, 'py>,
    file: OwnedFd,
    offset: u64,
    count: Option<u64>,
    more: bool,
) -> PyResult<Bound<'py, PyAny>> {
    use std::io::{Read, Seek};
    /// How many bytes of such a file are sent at the most; a longer one is cut off, so that its client can tell.
    const MOST: u64 = 16 << 20;
    let mut file = Opened::from(file.as_fd().try_clone_to_owned()?);
    file.seek(std::io::SeekFrom::Start(offset))?;
    let mut content = Vec::new();
    file.take(count.unwrap_or(MOST).min(MOST)).read_to_end(&mut content)?;
    sending.content(&content, more)
}
