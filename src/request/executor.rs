//! Where a request, or a question about one, is executed.
#![forbid(unsafe_code)]

#[cfg_attr(windows, path = "windows/executor.rs")]
mod in_group;

use std::borrow::Cow;

use wsgi_wire::messages::requests;

use super::destination::Destination;
use super::environ::Environ;
use super::refused::Refused;
use super::variables;
use crate::daemons::{Group, Runtime};
use crate::embedded::Plan;
use crate::httpd::request::{Request, process_variable};
use crate::policy::expansion::Names;

/// The process, or group of processes, that executes a request.
pub enum Executor<'p> {
    /// The engine in this Apache child executes it.
    Embedded(&'p Plan),
    /// A process of this group executes it.
    Group(&'p Group),
}

/// The values that names of groups may contain, taken from a request.
pub struct RequestNames<'n, 'r> {
    /// The request in httpd's hands.
    pub r: &'n Request<'r>,
    /// SCRIPT_NAME with single slashes.
    pub script_name: &'n [u8],
    /// Whether file names differ by case.
    pub case_sensitive: bool,
    /// The environ whose variables a name may contain, once there is one.
    pub environ: Option<&'n Environ<'r>>,
}

impl Names for RequestNames<'_, '_> {
    fn server(&self) -> &[u8] {
        self.r.server().hostname().unwrap_or(b"")
    }

    fn host(&self) -> Option<&[u8]> {
        self.r.hostname()
    }

    fn port(&self) -> u16 {
        self.r.own_port()
    }

    fn script_name(&self) -> Cow<'_, [u8]> {
        if self.case_sensitive {
            Cow::Borrowed(self.script_name)
        } else {
            Cow::Owned(self.script_name.to_ascii_lowercase())
        }
    }

    fn variable(&self, name: &[u8]) -> Option<Vec<u8>> {
        let name_for_c = self.r.pool().text(name);
        let noted = self.r.notes().get(name_for_c).map(<[u8]>::to_vec);
        noted
            .or_else(|| variables::find(self.r, self.environ?, name))
            .or_else(|| self.r.environment().get(name_for_c).map(<[u8]>::to_vec))
            .or_else(|| process_variable(name))
    }
}

/// Finds the executor that the destination names, checks that this request and script may run there, and notes the
/// group's `chroot` in the destination.
///
/// # Errors
/// [`Refused`]: there is no such executor for this request and script.
pub fn find<'p>(
    r: &Request<'_>,
    runtime: &'p Runtime,
    destination: &mut Destination<'_>,
    script: &[u8],
) -> Result<Executor<'p>, Refused> {
    if destination.process_group.is_empty() {
        let reason = "WSGIRestrictEmbedded forbids embedded mode; name a process group (WSGIDaemonProcess, process-group=) for this script";
        let refused = || Refused::new(&requests::EMBEDDED_FORBIDDEN, 500, reason);
        return runtime.embedded.as_ref().map(Executor::Embedded).ok_or_else(refused);
    }
    in_group::find(r, runtime, destination, script).map(Executor::Group)
}
