//! Who a daemon runs as, prepared so that nothing has to be looked up between fork and exec; and what this program itself may do.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;

use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
use wsgi_unix::user::Ids;
use wsgi_wire::control::{Identity, Resource, Spawn};

/// What root's supervisor needs to be root for: to start processes as other users, to signal them, and to give them their sockets.
const NEEDED: [CapabilitySet; 9] = [
    CapabilitySet::SETUID,
    CapabilitySet::SETGID,
    CapabilitySet::KILL,
    CapabilitySet::CHOWN,
    // Sockets in folders of other users, scripts and interpreters that only they can read.
    CapabilitySet::DAC_OVERRIDE,
    CapabilitySet::FOWNER,
    // chroot, cpu-priority, memory-limit and the like.
    CapabilitySet::SYS_CHROOT,
    CapabilitySet::SYS_NICE,
    CapabilitySet::SYS_RESOURCE,
];

/// Gives up what is not needed. The bounding set stays, and so does what set-user-id programs can do that applications run.
///
/// # Errors
/// Those of `capset`.
pub fn reduce() -> io::Result<()> {
    let held = capabilities(None)?;
    let needed = NEEDED.into_iter().fold(CapabilitySet::empty(), CapabilitySet::union);
    let kept = held.permitted & needed;
    Ok(set_capabilities(
        None,
        CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() },
    )?)
}

/// The numbers of the user and all groups. `supplementary-groups` replaces the groups of the user.
pub fn ids(identity: &Identity) -> io::Result<Ids> {
    Ids::of(identity.uid, identity.gid, &identity.name, identity.groups.as_deref())
}

/// What is different from Apache's own environment: the user's own variables, and those of the configuration, which win.
pub fn environment(spawn: &Spawn) -> Vec<(OsString, OsString)> {
    let text = |bytes: &[u8]| OsStr::from_bytes(bytes).to_owned();
    let mut variables = Vec::new();
    if let Some(identity) = &spawn.identity {
        if let Some(home) = &identity.home {
            variables.push(("HOME".into(), text(home)));
        }
        let present = ["USER", "LOGNAME", "USERNAME"].into_iter().filter(|name| env::var_os(name).is_some());
        if !identity.name.is_empty() {
            variables.extend(present.map(|name| (name.into(), text(&identity.name))));
        }
    }
    variables.extend(spawn.env.iter().map(|(name, value)| (text(name), text(value))));
    variables
}

/// The resource limits in the system's own numbers.
pub fn limits(spawn: &Spawn) -> Vec<(libc::c_int, u64, u64)> {
    let number = |resource| match resource {
        Resource::Cpu => libc::RLIMIT_CPU,
        Resource::Data => libc::RLIMIT_DATA,
        Resource::AddressSpace => libc::RLIMIT_AS,
    };
    spawn.limits.iter().map(|limit| (number(limit.resource) as libc::c_int, limit.soft, limit.hard)).collect()
}
