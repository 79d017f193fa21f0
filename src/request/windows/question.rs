//! A question's way to a daemon process, of which there is none on Windows.
#![forbid(unsafe_code)]

use wsgi_wire::question::Answer;

use super::{AskError, PendingQuestion};
use crate::daemons::{Group, Runtime};
use crate::httpd::request::Request;
use crate::request::environ::Environ;

impl<'r> PendingQuestion<'_, 'r> {
    /// Never called: no value of a group can be made.
    pub(super) fn ask_group(
        &self,
        _r: &mut Request<'r>,
        _runtime: &Runtime,
        group: &Group,
        _environ: &Environ<'r>,
    ) -> Result<Answer, AskError> {
        match *group {}
    }
}
