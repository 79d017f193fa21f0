//! The scripts that Apache knows as the application. They only pass their settings to `mod_wsgi.express.runtime`.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use serde::Serialize;

use super::content::mount_point;
use super::entry::Entry;
use super::error::PlanError;
use super::path::Directory;
use super::tools::Tools;
use crate::options::{ApplicationType, Options, pairs};

/// The settings in a script: the argument of `mod_wsgi.express.runtime.serve`.
#[derive(Clone, Debug, Serialize)]
pub struct Handler {
    /// The path or module name of the application; empty behind `--add-handler`.
    pub entry_point: String,
    /// The kind of the entry point: `script`, `module`, `paste` or `static`.
    pub application_type: &'static str,
    /// The name of the callable.
    pub callable_object: String,
    /// The interface of the application: `auto`, `wsgi` or `asgi`.
    pub interface: &'static str,
    /// The URL path without a slash at its end, or `/`.
    pub mount_point: String,
    /// Whether all modules are watched for changes.
    pub reload_on_changes: bool,
    /// Whether the script itself is watched for changes.
    pub reloading: bool,
    /// The variables that tell applications about their surroundings.
    pub environ: BTreeMap<&'static str, String>,
    /// The scripts by extension.
    pub resources: BTreeMap<String, Utf8PathBuf>,
    /// The tools that watch the application.
    pub tools: Tools,
}

impl Handler {
    /// The settings of the application's own script.
    pub fn application(options: &Options, entry: &Entry, tools: &Tools) -> Self {
        let application = &options.application;
        let mount_point = mount_point(options);
        let mut environ = BTreeMap::from([("MOD_WSGI_EXPRESS", "true".to_owned())]);
        if let Some(name) = &options.address.server_name {
            environ.insert("MOD_WSGI_SERVER_NAME", name.clone());
            environ.insert("MOD_WSGI_SERVER_ALIASES", options.address.server_alias.join(" "));
        }
        let debugging = &options.debugging;
        // In debug mode a new process would be the end of the server.
        let reload_on_changes = application.reload_on_changes && !debugging.one_process();
        let marks = [
            (reload_on_changes, "MOD_WSGI_RELOADER_ENABLED"),
            (debugging.one_process(), "MOD_WSGI_DEBUG_MODE"),
            (debugging.enable_debugger, "MOD_WSGI_DEBUGGER_ENABLED"),
            (debugging.enable_coverage, "MOD_WSGI_COVERAGE_ENABLED"),
            (debugging.enable_profiler, "MOD_WSGI_PROFILER_ENABLED"),
            (debugging.enable_recorder, "MOD_WSGI_RECORDER_ENABLED"),
            (debugging.enable_gdb, "MOD_WSGI_GDB_ENABLED"),
        ];
        environ.extend(marks.into_iter().filter(|(on, _)| *on).map(|(_, name)| (name, "true".to_owned())));
        Self {
            entry_point: entry.point.clone(),
            application_type: entry.kind.name(),
            callable_object: entry.callable.clone(),
            interface: options.interface().name(),
            mount_point: if mount_point.is_empty() { "/".to_owned() } else { mount_point },
            reload_on_changes,
            reloading: !application.disable_reloading,
            environ,
            resources: BTreeMap::new(),
            tools: tools.clone(),
        }
    }

    /// The settings of the script behind `--add-handler`, if that is used.
    pub fn resources(options: &Options, here: &Directory, tools: &Tools) -> Result<Option<Self>, PlanError> {
        let resources: BTreeMap<_, _> = pairs(&options.application.add_handler)
            .map(|(extension, script)| Ok((extension.to_owned(), here.existing("--add-handler", script)?)))
            .collect::<Result<_, PlanError>>()?;
        let none = Entry { kind: ApplicationType::Script, point: String::new(), callable: String::new() };
        let settings = || Self { resources: resources.clone(), ..Self::application(options, &none, tools) };
        Ok((!resources.is_empty()).then(settings))
    }

    /// The text of the script.
    ///
    /// # Errors
    /// Never in fact: the settings are plain text.
    pub fn script(&self) -> Result<String, serde_json::Error> {
        // Within a raw literal nothing but its own end could be taken for something else.
        let settings = serde_json::to_string_pretty(self)?.replace('\'', "\\u0027");
        let names = if self.reloading { "handle_request, reload_required" } else { "handle_request, _" };
        Ok(format!(
            "# Made by mod_wsgi-express; the next setup-server or start-server writes it anew.\n\
             import json\n\n\
             from mod_wsgi.express.runtime import serve\n\n\
             {names} = serve(json.loads(r'''\n{settings}\n'''))\n"
        ))
    }
}

/// The script of a server without an application.
pub const WELCOME: &str = "# Made by mod_wsgi-express: what answers as long as no application is named.\n\
    from mod_wsgi.express.welcome import application  # noqa: F401\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_cannot_end_the_literal() {
        let handler = Handler {
            entry_point: "/it'''s/\\".to_owned(),
            application_type: "script",
            callable_object: "application".to_owned(),
            interface: "auto",
            mount_point: "/".to_owned(),
            reload_on_changes: false,
            reloading: false,
            environ: BTreeMap::new(),
            resources: BTreeMap::new(),
            tools: Tools::default(),
        };
        let text = handler.script().unwrap();
        assert_eq!(text.matches("'''").count(), 2);
        assert!(text.contains(r#""/it\u0027\u0027\u0027s/\\""#) && text.contains("handle_request, _ = "));
    }
}
