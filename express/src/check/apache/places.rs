//! Checks the paths of a configuration: whether the users who need them can get at them.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};

use super::groups::{EMBEDDED, Groups};
use super::sites::Site;
use super::tree::Directive;
use crate::finding::Finding;
use crate::plan::Account;
use crate::preflight::barrier;

/// Packages whose authentication reads the `Authorization` header.
const TOKENS: [&str; 7] = [
    "rest_framework",
    "rest_framework_simplejwt",
    "knox",
    "oauth2_provider",
    "flask_jwt_extended",
    "flask_httpauth",
    "ninja_jwt",
];

/// Checks the paths of an application.
pub fn findings(site: &Site, groups: &Groups, directives: &[Directive]) -> Vec<Finding> {
    let group = site.group().and_then(|name| groups.defined.get(name)).copied();
    let mut found = Vec::new();
    if let Some(script) = site.script() {
        let place = site.alias.place();
        if script.is_absolute() && !script.exists() {
            found.push(Finding::error(
                "path",
                format!("{place}: {script} does not exist; correct the path of the script"),
            ));
        } else {
            found.extend(user(group, directives).and_then(|user| unreachable(&place, script, &user)));
        }
    }
    found.extend(authorization(site, group, directives));
    found
}

/// Checks the directories of the groups.
pub fn homes(groups: &Groups, directives: &[Directive]) -> Vec<Finding> {
    let mut found = Vec::new();
    for directive in groups.defined.values() {
        let Some(user) = user(Some(directive), directives) else { continue };
        for option in ["home", "python-home", "python-path", "python-eggs"] {
            for path in directive.option(option).into_iter().flat_map(|value| value.split(':')) {
                let path = Utf8Path::new(path);
                if directive.option("chroot").is_some() || !path.is_absolute() {
                    continue;
                }
                if path.exists() {
                    found.extend(unreachable(&directive.place(), path, &user));
                } else {
                    let text = format!(
                        "{}: {path}, the {option} of {}, does not exist; correct or make it",
                        directive.place(),
                        directive.word(0).unwrap_or_default()
                    );
                    found.push(Finding::error("path", text));
                }
            }
        }
    }
    found
}

/// The user that runs a group, or Apache's children.
fn user(group: Option<&Directive>, directives: &[Directive]) -> Option<Account> {
    let last = |name: &str| directives.iter().rev().find(|directive| directive.is(name))?.word(0);
    let name = group.and_then(|group| group.option("user")).or_else(|| last("User"))?;
    let group = group.and_then(|group| group.option("group")).or_else(|| last("Group"));
    Account::find(Some(name), group, 0).ok()
}

fn unreachable(place: &str, path: &Utf8Path, user: &Account) -> Option<Finding> {
    let at = barrier(path, user)?;
    let cure = if at.is_dir() { format!("chmod o+x {at}") } else { format!("chmod o+r {at}") };
    Some(Finding::error(
        "path",
        format!("{place}: the user {} cannot get at {path}: {at} denies it; {cure}", user.user),
    ))
}

/// Checks whether an application with token authentication is told the tokens.
fn authorization(site: &Site, group: Option<&Directive>, directives: &[Directive]) -> Option<Finding> {
    if !site.applying("WSGIPassAuthorization").is_empty() || !site.applying("AuthType").is_empty() {
        return None;
    }
    let last = |name: &str| directives.iter().rev().find(|directive| directive.is(name))?.word(0);
    let home = group.and_then(|group| group.option("python-home")).or_else(|| last("WSGIPythonHome"));
    let path = if site.group().is_none_or(|group| group == EMBEDDED) {
        last("WSGIPythonPath")
    } else {
        group?.option("python-path")
    };
    let installed = home.into_iter().flat_map(|home| packages_of(Utf8Path::new(home)));
    let directories: BTreeSet<_> =
        installed.chain(path.into_iter().flat_map(|path| path.split(':').map(Utf8PathBuf::from))).collect();
    let package = TOKENS.iter().find(|name| directories.iter().any(|directory| directory.join(name).is_dir()))?;
    let text = format!(
        "{}: the application's Python has {package}, which reads the Authorization header, and that is kept back; add WSGIPassAuthorization On beside it",
        site.alias.place()
    );
    Some(Finding::warning("authorization", text))
}

/// The directories of packages in an installation.
fn packages_of(home: &Utf8Path) -> Vec<Utf8PathBuf> {
    let pythons = home.join("lib").read_dir_utf8().into_iter().flatten().flatten();
    let pythons = pythons.filter(|entry| entry.file_name().starts_with("python3"));
    pythons.flat_map(|entry| ["site-packages", "dist-packages"].map(|name| entry.path().join(name))).collect()
}
