//! Applications of a configuration, and the directives that apply to each of them.

use camino::Utf8Path;

use super::groups::{EMBEDDED, Groups};
use super::tree::Directive;
use crate::finding::Finding;

/// A script alias with the directives around it.
pub struct Site<'a> {
    /// `WSGIScriptAlias` or `WSGIScriptAliasMatch`.
    pub alias: &'a Directive,
    /// The directives of its virtual host and of the whole server, the nearest first.
    scopes: Vec<&'a [Directive]>,
    /// The virtual host that it is in.
    host: Option<&'a Directive>,
}

impl<'a> Site<'a> {
    /// Collects all script aliases of a configuration.
    pub fn all(directives: &'a [Directive]) -> Vec<Self> {
        let is_alias = |directive: &&Directive| directive.is("WSGIScriptAlias") || directive.is("WSGIScriptAliasMatch");
        let of = |scopes: Vec<&'a [Directive]>, host: Option<&'a Directive>| -> Vec<Self> {
            let own = scopes.first().copied().unwrap_or_default();
            own.iter().filter(is_alias).map(|alias| Self { alias, scopes: scopes.clone(), host }).collect()
        };
        let hosts = directives.iter().filter(|directive| directive.is("VirtualHost"));
        let mut all = of(vec![directives], None);
        all.extend(hosts.flat_map(|host| of(vec![&host.inside, directives], Some(host))));
        all
    }

    /// The URL of the alias.
    pub fn url(&self) -> &'a str {
        self.alias.word(0).unwrap_or_default()
    }

    /// The script, if its path is not made of the URL.
    pub fn script(&self) -> Option<&'a Utf8Path> {
        self.alias.word(1).filter(|_| self.alias.is("WSGIScriptAlias")).map(Utf8Path::new)
    }

    /// The directives of this name that apply, those of the narrowest section first. Sections that are not for a
    /// directory or a URL count as if they applied: what they apply to cannot be known here.
    pub fn applying(&self, name: &str) -> Vec<&'a Directive> {
        let mut found: Vec<(usize, &'a Directive)> = Vec::new();
        for scope in &self.scopes {
            self.look(scope, 0, name, &mut found);
        }
        // A stable sort: in the virtual host before the server.
        found.sort_by_key(|(depth, _)| std::cmp::Reverse(*depth));
        found.into_iter().map(|(_, directive)| directive).collect()
    }

    fn look(&self, directives: &'a [Directive], depth: usize, name: &str, found: &mut Vec<(usize, &'a Directive)>) {
        for directive in directives {
            if directive.is(name) {
                found.push((depth, directive));
            } else if !directive.is("VirtualHost") && self.is_for(directive) {
                let narrower = directive.word(0).map_or(0, str::len);
                self.look(&directive.inside, depth + 1 + narrower, name, found);
            }
        }
    }

    fn is_for(&self, section: &Directive) -> bool {
        let Some(place) = section.word(0).filter(|place| !place.contains(['*', '?', '[', '~'])) else { return true };
        if section.is("Directory") {
            self.script().is_none_or(|script| script.starts_with(place))
        } else if section.is("Location") {
            Utf8Path::new(self.url()).starts_with(place)
        } else {
            true
        }
    }

    /// The process group; `None` for Apache's own processes where no directive names them.
    pub fn group(&self) -> Option<&'a str> {
        let given = self.alias.option("process-group");
        given.or_else(|| self.applying("WSGIProcessGroup").first()?.word(0))
    }

    /// Checks the application.
    pub fn findings(&self, groups: &Groups) -> Vec<Finding> {
        let (place, url) = (self.alias.place(), self.url());
        let is_on = |name: &str| {
            self.applying(name)
                .first()
                .and_then(|directive| directive.word(0))
                .is_some_and(|word| word.eq_ignore_ascii_case("on"))
        };
        let mut found = Vec::new();
        let is_embedded = self.group().is_none_or(|group| group == EMBEDDED);
        if is_embedded && is_on("WSGIRestrictEmbedded") {
            let text = format!(
                "{place}: {url} has no process group, and WSGIRestrictEmbedded On forbids Apache's own processes: requests are answered 500; add process-group=NAME"
            );
            found.push(Finding::error("embedded", text));
        } else if self.group().is_none() {
            let cure = match groups.defined.keys().next() {
                Some(name) => {
                    format!("add process-group={name} to that line, or say process-group={EMBEDDED} if it is meant")
                }
                None => format!(
                    "define one (WSGIDaemonProcess NAME) and add process-group=NAME to that line, or say process-group={EMBEDDED} if it is meant"
                ),
            };
            found.push(Finding::warning(
                "embedded",
                format!("{place}: {url} has no process group, so it runs in Apache's own processes; {cure}"),
            ));
        }
        let main = self.scopes.last().copied().unwrap_or_default();
        let foreign = self.group().and_then(|name| Some((name, groups.foreign(name, self.host, main)?)));
        found.extend(foreign.map(|(name, host)| {
            let text = format!(
                "{place}: {url} names the process group {name}, which belongs to another virtual host ({}): requests are answered 500; define it outside of both",
                host.place()
            );
            Finding::error("group", text)
        }));
        found.extend(self.access());
        found
    }

    /// Checks whether a request would be refused whatever the application says.
    fn access(&self) -> Option<Finding> {
        let script = self.script()?;
        // All of one section count together; others than these two decide by what nobody knows here.
        let nearest = *self.applying("Require").first()?;
        let is = |word: &str| nearest.word(1).is_some_and(|found| found.eq_ignore_ascii_case(word));
        let directory = script.parent()?;
        let text = || {
            format!(
                "{}: Require all denied, at {}, goes for {script}: requests are answered 403; add <Directory {directory}> with Require all granted",
                self.alias.place(),
                nearest.place()
            )
        };
        (nearest.word(0) == Some("all") && is("denied")).then(|| Finding::error("access", text()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::{self, Directive};
    use super::*;

    fn messages(text: &str) -> Vec<String> {
        let mut lines = "# In file: /a\n".to_owned();
        for (number, line) in text.lines().enumerate() {
            lines += &format!("# {}:\n{line}\n", number + 1);
        }
        let tree: Vec<Directive> = tree::read(&lines);
        let groups = Groups::of(&tree);
        Site::all(&tree).iter().flat_map(|site| site.findings(&groups)).map(|finding| finding.message).collect()
    }

    #[test]
    fn embedded_mode_by_accident() {
        let found = messages("WSGIDaemonProcess shop\nWSGIScriptAlias / /srv/x.wsgi");
        assert!(found.len() == 1 && found[0].contains("process-group=shop"), "{found:?}");
        assert_eq!(messages("WSGIScriptAlias / /srv/x.wsgi process-group=%{GLOBAL}"), [""; 0]);
        assert_eq!(
            messages("WSGIProcessGroup shop\n<VirtualHost *>\nWSGIScriptAlias / /srv/x.wsgi\n</VirtualHost>"),
            [""; 0]
        );
        assert_eq!(
            messages("<Directory /srv>\nWSGIProcessGroup shop\n</Directory>\nWSGIScriptAlias / /srv/x.wsgi"),
            [""; 0]
        );
        assert_eq!(
            messages("<Directory /other>\nWSGIProcessGroup shop\n</Directory>\nWSGIScriptAlias / /srv/x.wsgi").len(),
            1
        );
        let refused = messages("WSGIRestrictEmbedded On\nWSGIScriptAlias / /srv/x.wsgi");
        assert!(refused.len() == 1 && refused[0].contains("answered 500"), "{refused:?}");
    }

    #[test]
    fn groups_of_another_virtual_host() {
        let of = |first: &str, second: &str, main: &str| {
            messages(&format!(
                "{main}\n<VirtualHost *:80>\n{first}\nWSGIDaemonProcess shop\n</VirtualHost>\n<VirtualHost *:81>\n{second}\nWSGIScriptAlias / /srv/x.wsgi process-group=shop\n</VirtualHost>"
            ))
        };
        let found = of("ServerName a", "ServerName b", "ServerName c");
        assert!(found.len() == 1 && found[0].contains("another virtual host (/a:2)"), "{found:?}");
        assert_eq!(of("ServerName a", "ServerName https://a:443", ""), [""; 0]);
        assert_eq!(of("", "ServerName b", ""), [""; 0], "what its name is only Apache knows");
        let main = messages(
            "ServerName c\n<VirtualHost *:80>\nServerName a\nWSGIDaemonProcess shop\n</VirtualHost>\nWSGIScriptAlias / /srv/x.wsgi process-group=shop",
        );
        assert_eq!(main.len(), 1, "{main:?}");
    }

    #[test]
    fn directories_that_are_denied() {
        let denied = "<Directory />\nRequire all denied\n</Directory>\nWSGIScriptAlias / /srv/x.wsgi process-group=a";
        assert!(messages(denied)[0].contains("<Directory /srv>"));
        let granted = format!("{denied}\n<Directory /srv>\nRequire all granted\n</Directory>");
        assert_eq!(messages(&granted), [""; 0]);
    }
}
