//! Which application is served.

use super::context::Context;
use crate::options::{ApplicationType, Options};

/// The application as the options describe it.
pub struct Entry {
    /// How it is found.
    pub kind: ApplicationType,
    /// Path or name; for a static site the folder.
    pub point: String,
}

impl Entry {
    /// Reads the options.
    pub fn new(context: &Context) -> Self {
        let Options { application, content, .. } = context.options;
        let kind = application.application_type;
        let given = application.entry_point.as_ref().or(application.entry.as_ref());
        match (kind, given) {
            (ApplicationType::Static, folder) => {
                let folder = content.document_root.as_ref().map(|f| f.as_str()).or(folder.map(String::as_str));
                Self { kind, point: context.here.absolute(folder.unwrap_or(".")).into() }
            }
            (_, None) => Self { kind: ApplicationType::Script, point: context.root.join("default.wsgi").into() },
            (ApplicationType::Module, Some(name)) => Self { kind, point: name.clone() },
            (_, Some(path)) => Self { kind, point: context.here.absolute(path).into() },
        }
    }
}
