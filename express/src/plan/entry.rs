//! The application that the positional argument, --entry-point and --application-type name.

use camino::Utf8Path;

use super::context::Context;
use crate::options::{ApplicationType, Options, is_dotted, module_and_callable};

/// The application that is served.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The kind of the entry point.
    pub kind: ApplicationType,
    /// The path or name; for a static site the directory.
    pub point: String,
    /// The name of the callable.
    pub callable: String,
}

impl Entry {
    /// Reads the options.
    pub fn new(context: &Context) -> Self {
        let Options { application, content, .. } = context.options;
        let given = application.entry_point.as_ref().or(application.entry.as_ref());
        let (kind, given, named) = match (application.application_type, given) {
            (Some(ApplicationType::Module), Some(entry)) => match module_and_callable(entry) {
                Some((module, name)) => (ApplicationType::Module, Some(module), Some(name)),
                None => (ApplicationType::Module, Some(entry.as_str()), None),
            },
            (Some(kind), entry) => (kind, entry.map(String::as_str), None),
            (None, Some(entry)) if !context.here.absolute(entry).exists() => match module_and_callable(entry) {
                Some((module, name)) => (ApplicationType::Module, Some(module), Some(name)),
                None if is_module(context, entry) => (ApplicationType::Module, Some(entry.as_str()), None),
                None => (ApplicationType::Script, Some(entry.as_str()), None),
            },
            (None, entry) => (ApplicationType::Script, entry.map(String::as_str), None),
        };
        let callable = named.unwrap_or(&application.callable_object).to_owned();
        match (kind, given) {
            (ApplicationType::Static, directory) => {
                let directory = content.document_root.as_ref().map(|f| f.as_str()).or(directory);
                Self { kind, point: context.here.absolute(directory.unwrap_or(".")).into(), callable }
            }
            (_, None) => Self {
                kind: ApplicationType::Script,
                point: context.root.join("default.wsgi").into(),
                callable: "application".to_owned(),
            },
            (ApplicationType::Module, Some(name)) => Self { kind, point: name.to_owned(), callable },
            (_, Some(path)) => Self { kind, point: context.here.absolute(path).into(), callable },
        }
    }
}

/// Whether a module of this name is in a directory in which modules are looked for.
fn is_module(context: &Context, name: &str) -> bool {
    let path = name.replace('.', "/");
    let has = |directory: &Utf8Path| {
        directory.join(format!("{path}.py")).is_file() || directory.join(&path).join("__init__.py").is_file()
    };
    is_dotted(name) && (has(&context.working_directory) || context.python_path.iter().any(|directory| has(directory)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_with_callables_are_told_from_paths() {
        assert_eq!(module_and_callable("mysite.wsgi:application"), Some(("mysite.wsgi", "application")));
        assert_eq!(module_and_callable("app:app"), Some(("app", "app")));
        for path in ["app.wsgi", "/srv/app:b/x.wsgi", "a:b.c", "a-b:c", "C:", ":x", "a..b:c"] {
            assert_eq!(module_and_callable(path), None, "{path}");
        }
    }
}
