//! Files in the content of a response.

use std::os::fd::{AsFd, IntoRawFd, OwnedFd};

use rustix::io::Errno;
use wsgi_wire::response::File;

use super::request::Request;
use super::response::ResponseBody;
use super::{passed, sys};
use crate::relay::passed::{self as pieces, PassedFileError, Sendable};
use crate::relay::violation::Violation;

/// The length, bytes, up to which a piece of a file is read at once: a descriptor that waits costs more.
const SMALL_FILE: i64 = 16 << 10;

/// How Apache may send a file.
#[derive(Debug, Clone, Copy)]
pub struct FileWays {
    /// Whether `EnableMMAP` is on.
    pub mmap: bool,
    /// Whether `EnableSendfile` and `WSGIEnableSendfile` are on.
    pub sendfile: bool,
}

/// Checks that a piece of a file can be sent.
///
/// # Errors
/// [`PassedFileError`]
pub fn check(file: &OwnedFd, piece: &File) -> Result<Sendable, PassedFileError> {
    pieces::check(file.as_fd(), piece)
}

impl ResponseBody {
    /// Adds a piece of a file. Apache maps it only if nobody can change the file any more; it answers `Range` from it.
    ///
    /// # Errors
    /// [`PassedFileError`] if the file cannot be read or Apache does not take the descriptor.
    pub fn add_file(
        &mut self,
        r: &mut Request<'_>,
        file: OwnedFd,
        piece: Sendable,
        ways: FileWays,
    ) -> Result<(), Violation> {
        if piece.length <= SMALL_FILE {
            return Ok(self.add_small_file(r, &file, piece)?);
        }
        let mapped = (piece.sealed && ways.mmap).then(|| passed::mapped(r, &file, piece)).flatten();
        if let Some(bucket) = mapped {
            // SAFETY: it has just been made with the allocator of the request.
            unsafe { self.brigade.append(bucket) };
            return Ok(());
        }
        // With a file position of its own, which no application moves. Nobody but who may open the file has that.
        if let Some(own) = ways.sendfile.then(|| pieces::reopen(&file)).flatten() {
            return Ok(self.add_apr_file(r, own, piece)?);
        }
        // SAFETY: as above.
        unsafe { self.brigade.append(passed::bucket(r, file, piece)) };
        Ok(())
    }

    /// Adds a file as APR knows it, which alone can be sent by sendfile(2).
    fn add_apr_file(&mut self, r: &mut Request<'_>, file: OwnedFd, piece: Sendable) -> Result<(), PassedFileError> {
        let (mut taken, fd) = (std::ptr::null_mut(), file.into_raw_fd());
        // SAFETY: S1; the descriptor becomes the request's, which closes it at its end.
        if unsafe { sys::wsgi_shim_take_file(&raw mut taken, fd, r.raw()) } != 0 {
            return Err(PassedFileError::Failed(Errno::NOMEM));
        }
        let (brigade, pool) = (self.brigade.raw(), r.rec().pool);
        // SAFETY: S1: the file is in the request's pool, which the brigade is of, too.
        unsafe { sys::wsgi_shim_append_file(brigade, taken, piece.offset, piece.length, pool) };
        Ok(())
    }

    fn add_small_file(&mut self, r: &Request<'_>, file: &OwnedFd, piece: Sendable) -> Result<(), PassedFileError> {
        let mut content = vec![0; usize::try_from(piece.length).unwrap_or(0)];
        pieces::read(file, piece.offset.unsigned_abs(), &mut content)?;
        self.append_copy(r, &content);
        Ok(())
    }
}
