//! The process group that a request is for.
#![forbid(unsafe_code)]

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use wsgi_wire::messages::requests;

use crate::daemons::{Group, Runtime};
use crate::httpd::request::Request;
use crate::policy::owner::{self, Ownership};
use crate::policy::visibility;
use crate::request::destination::Destination;
use crate::request::refused::Refused;

/// The group that the destination names; what it does not see of the script is settled there.
///
/// # Errors
/// [`Refused`]: there is no such group for this request and script.
pub fn find<'p>(
    r: &Request<'_>,
    runtime: &'p Runtime,
    destination: &mut Destination<'_>,
    script: &[u8],
) -> Result<&'p Group, Refused> {
    let name = &*destination.process_group;
    let shown = String::from_utf8_lossy(name);
    let group = runtime.groups.get(name).ok_or_else(|| {
        let reason = format!("process group `{shown}` is not defined; define it with WSGIDaemonProcess");
        Refused::new(&requests::UNKNOWN_GROUP, 500, reason)
    })?;
    let server = r.server();
    if !visibility::usable(&group.origin, server.id(), server.hostname()) {
        let reason = format!("process group `{shown}` belongs to another virtual host");
        return Err(Refused::new(&requests::GROUP_OF_OTHER_HOST, 500, reason));
    }
    if group.requests_each() == 0 {
        let reason = format!(
            "process group `{shown}` has threads=0, so its processes run their scripts and serve no requests; name another group"
        );
        return Err(Refused::new(&requests::SERVICE_GROUP, 500, reason));
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
    Ok(group)
}
