//! `WSGIScriptAlias` and `WSGIScriptAliasMatch`.
#![forbid(unsafe_code)]

use std::ffi::CString;
use std::sync::Arc;

use wsgi_wire::interface::Interface;

use super::configuration::{Configuration, Preload};
use super::directive::Line;
use super::settings::{Alias, Pattern, ServerSettings};
use crate::policy::words::{self, ArgumentError, option, word};

const OPTIONS: &[&str] = &["process-group", "application-group", "callable-object", "pass-authorization"];

/// The setter of `WSGIScriptAlias`.
pub fn set(
    settings: &mut ServerSettings,
    configuration: &mut Configuration,
    line: &Line<'_>,
) -> Result<(), ArgumentError> {
    add(settings, configuration, line, |prefix| Ok(Pattern::Prefix(prefix)))
}

/// The setter of `WSGIScriptAliasMatch`.
pub fn set_match(
    settings: &mut ServerSettings,
    configuration: &mut Configuration,
    line: &Line<'_>,
) -> Result<(), ArgumentError> {
    add(settings, configuration, line, |pattern| {
        line.host
            .regex(&pattern)
            .map(Pattern::Regex)
            .ok_or_else(|| ArgumentError::value("the pattern", &pattern, "a regular expression"))
    })
}

fn add(
    settings: &mut ServerSettings,
    configuration: &mut Configuration,
    line: &Line<'_>,
    pattern: impl FnOnce(Vec<u8>) -> Result<Pattern, ArgumentError>,
) -> Result<(), ArgumentError> {
    let expected = ArgumentError::Arguments("a URL and the script or directory for it, then options");
    let mut rest = line.arguments;
    let (Some(url), Some(target)) = (word(&mut rest), words::script(&mut rest)) else { return Err(expected) };
    let mut alias = Alias {
        pattern: pattern(url)?,
        target: CString::new(target).map_err(|_| expected)?,
        process_group: None,
        application_group: None,
        callable: None,
        pass_authorization: None,
    };
    while let Some(value) = option(&mut rest, OPTIONS)? {
        match value.option {
            "process-group" => alias.process_group = Some(value.group()?),
            "application-group" => alias.application_group = Some(value.group()?),
            "callable-object" => alias.callable = Some(value.text()?),
            _ => alias.pass_authorization = Some(value.flag()?),
        }
    }
    if let Some(preload) = preload(configuration, &alias) {
        configuration.check_group(&preload.process_group, &line.origin)?;
        configuration.preloads.push(preload);
    }
    configuration.applications = configuration.applications.saturating_add(1);
    settings.aliases.push(Arc::new(alias));
    Ok(())
}

/// Returns the script that the group's processes load when they start, if the alias names the file and both groups
/// literally. Where these may have an event loop there is one application group only.
fn preload(configuration: &Configuration, alias: &Alias) -> Option<Preload> {
    let fixed = |text: &Vec<u8>| !text.windows(2).any(|w| w == b"%{");
    let process_group = alias.process_group.clone().filter(fixed)?;
    let has_loop = configuration.group(&process_group).is_some_and(|group| group.options.interface != Interface::Wsgi);
    let application_group = alias.application_group.clone().or_else(|| has_loop.then(Vec::new)).filter(fixed)?;
    let script = alias.target.as_bytes();
    if matches!(alias.pattern, Pattern::Regex(_)) && script.contains(&b'$') {
        return None;
    }
    let callable = alias.callable.clone().unwrap_or_default();
    Some(Preload { script: script.to_vec(), process_group, application_group, callable })
}

/// Sets `WSGIImportScript path process-group=X application-group=Y`.
pub fn set_import(configuration: &mut Configuration, line: &Line<'_>) -> Result<(), ArgumentError> {
    let mut rest = line.arguments;
    let expected = "a script, then its process-group and application-group";
    let script = words::script(&mut rest).ok_or(ArgumentError::Arguments(expected))?;
    let (mut process_group, mut application_group) = (None, None);
    while let Some(value) = option(&mut rest, &OPTIONS[..2])? {
        let place = if value.option == "process-group" { &mut process_group } else { &mut application_group };
        *place = Some(value.group()?);
    }
    let process_group = process_group.ok_or(ArgumentError::Missing("process-group"))?;
    let application_group = application_group.ok_or(ArgumentError::Missing("application-group"))?;
    for name in [&process_group, &application_group] {
        if name.starts_with(b"%{") {
            return Err(ArgumentError::value("the group", name, "a literal name or %{GLOBAL}"));
        }
    }
    configuration.check_group(&process_group, &line.origin)?;
    configuration.applications = configuration.applications.saturating_add(1);
    configuration.preloads.push(Preload { script, process_group, application_group, callable: Vec::new() });
    Ok(())
}
