//! Where and how the application of a request runs.

use std::borrow::Cow;

use wsgi_wire::interface::Interface;

use crate::httpd::log::Execution;
use crate::policy::path;

/// Where and how the application of a request runs.
pub struct Destination<'r> {
    /// The process group; empty in embedded mode.
    pub process_group: Cow<'r, [u8]>,
    /// The application group; empty is the main interpreter.
    pub application_group: Cow<'r, [u8]>,
    /// Whether the configuration names it.
    pub names_application_group: bool,
    /// The application's name in its script.
    pub callable: Cow<'r, [u8]>,
    /// The script of a handler; `None` where the script is the file that was requested.
    pub handler_script: Option<&'r [u8]>,
    /// Whether the Authorization header is handed over, where anybody says that.
    pub pass_authorization: Option<bool>,
    /// What the process speaks.
    pub interface: Interface,
    /// Whether SCRIPT_NAME takes few values: an alias maps to one script.
    pub fixed_mount: bool,
    /// The `chroot` of the process group.
    pub chroot: Option<Vec<u8>>,
}

impl Destination<'_> {
    /// Whether the Authorization header is handed over: to ASGI, whose applications mostly see to access themselves,
    /// unless somebody says no.
    pub fn passes_authorization(&self) -> bool {
        self.pass_authorization.unwrap_or(self.interface == Interface::Asgi)
    }

    /// A path as a process of the group sees it; `None` if it does not see it.
    pub fn visible<'p>(&self, path: &'p [u8]) -> Option<&'p [u8]> {
        match &self.chroot {
            None => Some(path),
            Some(root) => path::inside(root, path),
        }
    }

    /// As [`visible`](Self::visible), for a path that need not be there.
    pub fn inside<'p>(&self, path: &'p [u8]) -> &'p [u8] {
        self.visible(path).unwrap_or(path)
    }

    /// The place of execution for log records. `file` is the file that was requested.
    pub fn place<'p>(&'p self, file: &'p [u8]) -> Execution<'p> {
        Execution {
            script: self.handler_script.unwrap_or(file),
            process_group: &self.process_group,
            application_group: &self.application_group,
        }
    }
}
