//! The content of a response: as much as is announced, and how it goes down.
#![forbid(unsafe_code)]

#[cfg(unix)]
use wsgi_unix::fork::mapped::Outside;

#[cfg(unix)]
use super::Disposition;
use super::HttpClient;
use crate::httpd::response as httpd;
#[cfg(unix)]
use crate::relay::client::SendError;
use crate::relay::client::Then;
use crate::relay::violation::Violation;

impl HttpClient<'_, '_> {
    /// Counts content that is about to be sent.
    pub(super) fn count(&mut self, bytes: u64) -> Result<(), Violation> {
        if let Some(left) = self.left {
            self.left = Some(left.checked_sub(bytes).ok_or(Violation::Overlong)?);
        }
        self.begun |= bytes > 0;
        Ok(())
    }

    /// Checks that as much content has come as was announced, before the response is called whole.
    pub(super) fn check_length(&self) -> Result<(), Violation> {
        let expected = self.has_content && !self.r.is_head();
        if expected && self.left.is_some_and(|left| left > 0) { Err(Violation::Short) } else { Ok(()) }
    }

    /// Prepares for content of this length, with which the response ends or not.
    pub(super) fn begin_content(&mut self, length: u64, then: Then) -> Result<(), Violation> {
        self.count(length)?;
        if then == Then::End {
            self.check_length()?;
        }
        if !self.response.passed() && !self.ranges {
            httpd::answer_no_ranges(self.r);
        }
        Ok(())
    }

    /// Sends content that the process may change meanwhile.
    #[cfg(unix)]
    pub(super) fn send_unseen(&mut self, pieces: &[Outside<'_>], then: Then) -> Result<(), SendError> {
        if self.disposition != Disposition::Send {
            return Ok(());
        }
        let pieces = if self.has_content { pieces } else { &[] };
        self.begin_content(pieces.iter().map(|p| p.length() as u64).sum(), then)?;
        self.waiting_files = 0;
        Ok(self.response.pass_unseen(self.r, pieces, then)?)
    }
}
