//! Process groups: those that are defined, and those that are used.

use std::collections::BTreeMap;

use super::ask::Configuration;
use super::tree::Directive;
use crate::finding::Finding;

/// The name that stands for Apache's own processes.
pub const EMBEDDED: &str = "%{GLOBAL}";

/// Directives that choose a group for each request.
const CHOOSERS: [&str; 1] = ["WSGIDispatchScript"];

/// The groups of a configuration.
pub struct Groups<'a> {
    /// Their definitions, by name.
    pub defined: BTreeMap<&'a str, &'a Directive>,
    /// The names in use, with the directives that use them.
    used: Vec<(&'a str, &'a Directive)>,
    /// The names that `WSGIRestrictProcess` allows, with these directives.
    allowed: Vec<(&'a str, &'a Directive)>,
    /// The virtual hosts that groups are defined in, by the groups' names.
    hosts: BTreeMap<&'a str, &'a Directive>,
    /// Whether some groups are chosen for each request.
    chosen: bool,
}

impl<'a> Groups<'a> {
    /// Collects the groups of a configuration.
    pub fn of(directives: &'a [Directive]) -> Self {
        let mut groups = Self {
            defined: BTreeMap::new(),
            used: Vec::new(),
            allowed: Vec::new(),
            hosts: BTreeMap::new(),
            chosen: false,
        };
        groups.add(directives, None);
        groups
    }

    fn add(&mut self, directives: &'a [Directive], host: Option<&'a Directive>) {
        for directive in directives {
            if directive.is("WSGIDaemonProcess") {
                self.defined.extend(directive.word(0).map(|name| (name, directive)));
                self.hosts.extend(directive.word(0).zip(host));
            }
            if directive.is("WSGIRestrictProcess") {
                let names = directive.words.iter().map(String::as_str).filter(|name| !name.starts_with("%{"));
                self.allowed.extend(names.map(|name| (name, directive)));
            }
            let name =
                if directive.is("WSGIProcessGroup") { directive.word(0) } else { directive.option("process-group") };
            match name {
                Some(EMBEDDED) | None => {}
                Some(name) if name.starts_with("%{") => self.chosen = true,
                Some(name) => self.used.push((name, directive)),
            }
            self.chosen |= CHOOSERS.iter().any(|chooser| directive.is(chooser));
            self.add(&directive.inside, if directive.is("VirtualHost") { Some(directive) } else { host });
        }
    }

    /// Returns the virtual host that a group belongs to, if that is another one than this and has another name: its
    /// group is refused here.
    pub fn foreign(&self, name: &str, here: Option<&Directive>, main: &[Directive]) -> Option<&'a Directive> {
        let host = self.hosts.get(name).copied().filter(|host| here.is_none_or(|here| !std::ptr::eq(here, *host)))?;
        let own = server_name(here.map_or(main, |here| &here.inside))?;
        (server_name(&host.inside)? != own).then_some(host)
    }

    /// Returns ` (is NAME meant?)` where a group has a similar name.
    fn meant(&self, name: &str) -> String {
        let nearest = self.defined.keys().map(|known| (strsim(name, known), known)).min();
        let nearest = nearest.filter(|(distance, _)| *distance <= 2);
        nearest.map(|(_, known)| format!(" (is {known} meant?)")).unwrap_or_default()
    }

    /// Finds groups that are used and not defined, and those that are defined and not used.
    pub fn findings(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        let undefined = |(name, directive): &(&str, &Directive), effect: &str| {
            let (place, meant) = (directive.place(), self.meant(name));
            let text = format!(
                "{place}: {} names the process group {name}, which no WSGIDaemonProcess defines{meant}: {effect}; define it, or correct the name",
                directive.name
            );
            (!self.defined.contains_key(name)).then_some(text)
        };
        let used = self.used.iter().filter_map(|used| undefined(used, "requests are answered 500"));
        found.extend(used.map(|text| Finding::error("group", text)));
        let allowed = self.allowed.iter().filter_map(|allowed| undefined(allowed, "it allows nothing by that"));
        found.extend(allowed.map(|text| Finding::warning("group", text)));
        let unused =
            self.defined.iter().filter(|(name, _)| !self.chosen && self.used.iter().all(|(used, _)| used != *name));
        for (name, directive) in unused {
            let text = format!(
                "{}: nobody uses the process group {name}, whose processes run for nothing; add process-group={name} to its WSGIScriptAlias, or take it out",
                directive.place()
            );
            found.push(Finding::warning("group", text));
        }
        found
    }

    /// Checks whether Apache has as many workers as its groups have threads, and the right kind of them.
    pub fn capacity(&self, configuration: &Configuration) -> Vec<Finding> {
        let has = |name: &str| configuration.modules.iter().any(|module| module == name);
        let is_prefork = has("mpm_prefork");
        let asgi = self.defined.iter().find(|(_, directive)| directive.option("interface") == Some("asgi"));
        let number = |directive: &Directive, name: &str, usual: u64| {
            directive.option(name).map_or(Some(usual), |value| value.parse().ok())
        };
        let capacity =
            |directive: &Directive| Some(number(directive, "processes", 1)? * number(directive, "threads", 15)?);
        let largest = self
            .defined
            .iter()
            // Those of an event loop are not what its requests run in.
            .filter(|(_, directive)| directive.option("interface") != Some("asgi"))
            .filter_map(|(name, directive)| Some((capacity(directive)?, *name, *directive)))
            .max_by_key(|(all, ..)| *all);
        let mut found = Vec::new();
        if let Some((name, directive)) = asgi.filter(|_| is_prefork || has("mpm_worker")) {
            let text = format!(
                "{}: the process group {name} serves an asynchronous application, and with this MPM each connection that is open keeps one of Apache's workers; a2enmod mpm_event in its place, or load mod_mpm_event",
                directive.place()
            );
            found.push(Finding::warning("mpm", text));
        }
        let Some((requests, name, directive)) = largest.filter(|(requests, ..)| *requests > 1) else {
            return found;
        };
        let given = |name: &str| {
            configuration.directives.iter().rev().find(|directive| directive.is(name))?.word(0)?.parse::<u64>().ok()
        };
        let workers =
            given("MaxRequestWorkers").or_else(|| given("MaxClients")).unwrap_or(if is_prefork { 256 } else { 400 });
        if requests > workers {
            let text = format!(
                "{}: the process group {name} can execute {requests} requests at once, and Apache has {workers} workers to bring them; raise MaxRequestWorkers, or lower processes or threads",
                directive.place()
            );
            found.push(Finding::warning("capacity", text));
        }
        if is_prefork {
            let cure = if configuration.modules.iter().any(|name| name.starts_with("php")) {
                "serve PHP by php-fpm, then a2dismod mpm_prefork and a2enmod mpm_event"
            } else {
                "a2dismod mpm_prefork and a2enmod mpm_event, or load mod_mpm_event in its place"
            };
            let text = format!(
                "Apache runs with the MPM prefork, a process for each connection, although the application's threads are in the process group {name}; {cure}"
            );
            found.push(Finding::warning("mpm", text));
        }
        found
    }
}

/// The host name in `ServerName`, which may have a scheme before it and a port behind.
fn server_name(directives: &[Directive]) -> Option<&str> {
    let name = directives.iter().rev().find(|directive| directive.is("ServerName"))?.word(0)?;
    let name = name.split_once("://").map_or(name, |(_, name)| name);
    Some(name.split_once(':').map_or(name, |(name, _)| name))
}

/// The number of letters in which two names differ (Levenshtein).
fn strsim(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut before = std::mem::replace(&mut row[0], i + 1);
        for (j, right) in b.iter().enumerate() {
            let replaced = before + usize::from(left != *right);
            before = row[j + 1];
            row[j + 1] = replaced.min(before + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::super::tree::read;
    use super::*;

    #[test]
    fn groups_that_nobody_defines_or_uses() {
        let text = "# In file: /a\n# 1:\nWSGIDaemonProcess shop\n# 2:\nWSGIDaemonProcess idle\n# 3:\nWSGIScriptAlias / /x process-group=shpo\n# 4:\nWSGIProcessGroup %{GLOBAL}\n";
        let tree = read(text);
        let found: Vec<_> = Groups::of(&tree).findings().into_iter().map(|finding| finding.message).collect();
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].contains("/a:3") && found[0].contains("is shop meant?"), "{found:?}");
        let chosen = read(&format!("{text}# 5:\nWSGIProcessGroup %{{ENV:GROUP}}\n"));
        assert_eq!(Groups::of(&chosen).findings().len(), 1, "any may be chosen");
    }

    #[test]
    fn requests_of_an_event_loop_are_no_threads_and_want_the_mpm_event() {
        let text =
            "# In file: /a\n# 1:\nMaxRequestWorkers 20\n# 2:\nWSGIDaemonProcess shop interface=asgi threads=90\n";
        let with = |mpm: &str| {
            let modules = vec!["wsgi".to_owned(), mpm.to_owned()];
            let configuration =
                Configuration { file: "/a".into(), directives: read(text), modules, warnings: Vec::new() };
            let found = Groups::of(&configuration.directives).capacity(&configuration);
            found.into_iter().map(|finding| finding.message).collect::<Vec<_>>()
        };
        assert_eq!(with("mpm_event"), Vec::<String>::new());
        for mpm in ["mpm_worker", "mpm_prefork"] {
            let found = with(mpm);
            assert!(found.len() == 1 && found[0].starts_with("/a:2: the process group shop serves"), "{found:?}");
        }
    }

    #[test]
    fn a_group_that_is_allowed_and_not_defined() {
        let tree = read(
            "# In file: /a\n# 1:\nWSGIDaemonProcess shop\n# 2:\nWSGIProcessGroup shop\n# 3:\nWSGIRestrictProcess shop shpo %{GLOBAL}\n",
        );
        let found: Vec<_> = Groups::of(&tree).findings().into_iter().map(|finding| finding.message).collect();
        assert!(
            found.len() == 1 && found[0].contains("/a:3: WSGIRestrictProcess names the process group shpo"),
            "{found:?}"
        );
    }

    #[test]
    fn distances_are_numbers_of_letters() {
        assert_eq!((strsim("shop", "shop"), strsim("shpo", "shop"), strsim("", "ab")), (0, 2, 2));
    }
}
