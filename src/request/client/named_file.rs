//! The file that a response names, which Apache sends in the place of the content.
#![forbid(unsafe_code)]

use wsgi_wire::messages::requests;
use wsgi_wire::response::File;

use super::HttpClient;
use crate::httpd::response as httpd;
use crate::relay::client::{RequestContext, Then};
use crate::relay::sendable::Sendable;
use crate::request::guarded_file::GuardedFile;

impl HttpClient<'_, '_> {
    /// Has Apache send the file that the response names in the place of its content: whole, a part, or the news that
    /// the client has it already. Returns the status, where that is not the response's own.
    pub fn send_guarded(&mut self) -> Option<u16> {
        let guarded = self.guarded.take()?;
        let etag = guarded.etag();
        let GuardedFile { file, length, modified } = guarded;
        if let Some(status) = httpd::begin_file(self.r, length, modified, etag.as_bytes()) {
            return Some(status);
        }
        let piece = File { offset: 0, length, whole: true };
        let ways = self.file_ways(&piece, self.r.core_flags().sendfile);
        let sendable = Sendable { offset: 0, length: i64::try_from(length).unwrap_or(i64::MAX), sealed: false };
        if let Err(error) = self.response.add_file(self.r, file, sendable, ways) {
            self.tell(
                &requests::GUARDED_FILE_NOT_SENT,
                &format!("The file that the application has Apache send is not sent: {error}."),
            );
            return Some(500);
        }
        // A client that is gone needs no answer.
        let _ = self.pass(&[], Then::End);
        None
    }
}
