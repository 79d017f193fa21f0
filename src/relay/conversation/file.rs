//! Content that comes as a file's descriptor.
#![forbid(unsafe_code)]

use wsgi_wire::frame::Kind;
use wsgi_wire::response::File;

use super::Conversation;
use crate::relay::client::{Client, SendError, Then};
use crate::relay::violation::Violation;

impl<C: Client> Conversation<'_, C> {
    /// Takes the file whose descriptor has come. One that is the whole content goes down at once.
    pub(super) fn take_file(&mut self, file: File) -> Result<(), SendError> {
        self.mix()?;
        self.progressed |= file.length > 0;
        let descriptor = self.inbox.descriptor().ok_or(Violation::NoDescriptor)?;
        if !file.whole {
            self.file = Some((descriptor, file));
            return Ok(());
        }
        // It would overtake what is kept.
        if !self.outflow.is_empty() {
            return Err(Violation::OutOfPlace(Kind::File).into());
        }
        self.client.file(descriptor, &file)?;
        (self.unpassed, self.ended) = (false, true);
        Ok(())
    }

    /// Passes down the file that has come: as a file, if the client takes it or the response is whole with it, else as
    /// content.
    pub(super) fn pass_file(&mut self, is_last: bool) -> Result<(), SendError> {
        let Some((descriptor, file)) = self.file.take() else { return Ok(()) };
        if !self.client.wants_content() {
            // Nobody reads what it may have no end of.
            return self.client.file(descriptor, &file);
        }
        let right = if is_last { Some(None) } else { self.client.right_to_wait(false) };
        let takes = self.is_flowing() && (is_last || right.is_some() && self.outflow.takes(self.client, file.length));
        if takes {
            self.client.file(descriptor, &file)?;
            // Unless the end follows it goes down at once, so that the next look at the client's socket is true.
            if !is_last {
                self.client.data(&[], Then::More)?;
            }
        } else {
            self.outflow.file(self.client, &descriptor, &file, self.stuck.is_some())?;
        }
        (self.unsent, self.unpassed) = (true, is_last && self.is_flowing());
        Ok(())
    }
}
