//! Where a request, or a question about one, is executed.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use wsgi_wire::messages::requests;

use super::destination::Destination;
use super::refused::Refused;
use crate::daemons::{Group, Runtime};
use crate::embedded::Plan;
use crate::httpd::request::{Request, process_variable};
use crate::policy::expansion::Names;
use crate::policy::owner::{self, Ownership};
use crate::policy::visibility;

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
        let found = self.r.notes().get(name_for_c).or_else(|| self.r.environment().get(name_for_c));
        found.map(<[u8]>::to_vec).or_else(|| process_variable(name))
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
    let name = &*destination.process_group;
    let shown = String::from_utf8_lossy(name);
    if name.is_empty() {
        let reason = "WSGIRestrictEmbedded forbids embedded mode; name a process group (WSGIDaemonProcess, process-group=) for this script";
        let refused = || Refused::new(&requests::EMBEDDED_FORBIDDEN, 500, reason);
        return runtime.embedded.as_ref().map(Executor::Embedded).ok_or_else(refused);
    }
    let group = runtime.groups.get(name).ok_or_else(|| {
        let reason = format!("process group `{shown}` is not defined; define it with WSGIDaemonProcess");
        Refused::new(&requests::UNKNOWN_GROUP, 500, reason)
    })?;
    let server = r.server();
    if !visibility::usable(&group.origin, server.id(), server.hostname()) {
        let reason = format!("process group `{shown}` belongs to another virtual host");
        return Err(Refused::new(&requests::GROUP_OF_OTHER_HOST, 500, reason));
    }
    if let Some(policy) = group.owner {
        let script = Path::new(std::ffi::OsStr::from_bytes(script));
        let ownership = |path: &Path| {
            let found = path.metadata().map_err(|error| Refused::new(&requests::OWNER_UNKNOWN, 403, error))?;
            Ok(Ownership { uid: found.uid(), gid: found.gid(), mode: found.mode() })
        };
        let directory = ownership(script.parent().unwrap_or(Path::new("/")))?;
        owner::check(policy, ownership(script)?, directory)
            .map_err(|refusal| Refused::new(&requests::SCRIPT_OWNER, 403, refusal))?;
    }
    destination.chroot.clone_from(&group.chroot);
    if destination.visible(script).is_none() {
        let root = group.chroot.as_deref().unwrap_or_default();
        let (script, root) = (String::from_utf8_lossy(script), String::from_utf8_lossy(root));
        let reason = format!("script `{script}` is not below the group's chroot `{root}`");
        return Err(Refused::new(&requests::OUTSIDE_CHROOT, 500, reason));
    }
    Ok(Executor::Group(group))
}
