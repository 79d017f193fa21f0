//! Which process groups serve exactly one application, as far as the configuration proves it: these run in the main
//! interpreter, where every extension module works. In doubt a group is not among them.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;

use super::script_directives::{Facts, Target, is_literal};
use super::tree::Node;

/// The groups that serve one application. `is_file` tells whether a path is that of a file.
pub fn groups(tree: &[Node], is_file: impl Fn(&[u8]) -> bool) -> BTreeSet<Vec<u8>> {
    let facts = Facts::of(tree);
    if facts.particular {
        return BTreeSet::new();
    }
    let named = facts.process_groups.iter().map(|setting| &setting.value);
    let named = named.chain(facts.aliases.iter().filter_map(|alias| alias.process_group.as_ref()));
    let named: BTreeSet<_> = named.filter(|name| is_literal(name)).cloned().collect();
    named.into_iter().filter(|name| facts.serves_one(name, &is_file)).collect()
}

impl Facts {
    /// Whether the group serves one application, whatever is asked for.
    fn serves_one(&self, group: &[u8], is_file: &impl Fn(&[u8]) -> bool) -> bool {
        let mut aliases = self.aliases.iter().filter(|target| self.may_run_in(target, group));
        let Some(alias) = aliases.next() else { return false };
        if !aliases.all(|other| self.are_one(alias, other)) {
            return false;
        }
        let by_directive =
            self.process_groups.iter().any(|setting| !is_literal(&setting.value) || setting.value == group);
        let other_ways =
            (by_directive && self.loose_files) || self.others.iter().any(|target| self.may_run_in(target, group));
        let other_ways = other_ways || self.asked.iter().any(|asked| asked.may_be_asked_in(group));
        !other_ways
            && is_file(&alias.script)
            && self.application_group(alias).is_some_and(|name| {
                self.imports_into(group)
                    .all(|import| is_literal(&name) && import.application_group.as_deref() == Some(&name))
            })
    }

    /// Whether two aliases serve the same application: that of a site that has a virtual host for HTTP and another one
    /// for HTTPS.
    fn are_one(&self, alias: &Target, other: &Target) -> bool {
        let host = |target: &Target| target.place.host.and_then(|host| self.hosts.get(host)?.as_ref());
        let one_site = host(alias).is_some() && host(alias) == host(other) && alias.place.host != other.place.host;
        one_site
            && !(alias.place.in_section || other.place.in_section)
            && (&alias.url, &alias.script, self.process_group(alias))
                == (&other.url, &other.script, self.process_group(other))
            && self.application_group(alias) == self.application_group(other)
    }

    /// The process group of an alias: as the alias has it, or as the one `WSGIProcessGroup` says that holds for it.
    fn process_group<'a>(&'a self, alias: &'a Target) -> Option<&'a [u8]> {
        if alias.process_group.is_some() {
            return alias.process_group.as_deref();
        }
        let mut reaching = self.process_groups.iter().filter(|setting| setting.place.reaches(alias.place));
        let (first, second) = (reaching.next()?, reaching.next());
        second.is_none().then_some(&first.value)
    }

    /// The application group of an alias, if it is the same for all requests and not the main interpreter anyway.
    fn application_group(&self, alias: &Target) -> Option<Vec<u8>> {
        let name = match &alias.application_group {
            Some(name) => name.clone(),
            None => {
                let mut reaching = self.application_groups.iter().filter(|s| s.place.reaches(alias.place));
                match (reaching.next(), reaching.next()) {
                    (None, _) => b"%{RESOURCE}".to_vec(),
                    (Some(setting), None) if !setting.place.in_section => setting.value.clone(),
                    _ => return None,
                }
            }
        };
        let one_host = alias.place.host.is_some() || self.hosts.is_empty();
        let of_host = matches!(name.as_slice(), b"%{RESOURCE}" | b"%{SERVER}");
        (is_literal(&name) || (of_host && one_host)).then_some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of a configuration; sections as httpd writes them.
    fn tree(text: &str) -> Vec<Node> {
        let mut stack: Vec<Vec<Node>> = vec![vec![]];
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (name, arguments) = line.split_once(' ').unwrap_or((line, ""));
            if name.starts_with("</") {
                let inside = stack.pop().unwrap();
                stack.last_mut().unwrap().last_mut().unwrap().inside = inside;
                continue;
            }
            let node = Node { name: name.into(), arguments: arguments.into(), inside: vec![] };
            stack.last_mut().unwrap().push(node);
            if name.starts_with('<') {
                stack.push(vec![]);
            }
        }
        stack.remove(0)
    }

    fn found(text: &str) -> Vec<String> {
        let groups = groups(&tree(text), |path| path.ends_with(b".py"));
        groups.into_iter().map(|name| String::from_utf8(name).unwrap()).collect()
    }

    #[test]
    fn one_alias_to_a_file_is_one_application() {
        let rows = [
            "WSGIScriptAlias / /app.py process-group=g",
            "WSGIScriptAlias / /app.py process-group='g' application-group=%{RESOURCE}",
            "WSGIScriptAlias / /app.py process-group=g application-group=name",
            "WSGIProcessGroup g\nWSGIScriptAlias / /app.py",
            "WSGIProcessGroup g\nWSGIApplicationGroup %{SERVER}\nWSGIScriptAlias / /app.py\nAllowOverride None",
            "<VirtualHost *:80>\nWSGIProcessGroup g\nWSGIScriptAlias / /app.py\n</VirtualHost>\n<VirtualHost *:81>\n</VirtualHost>",
            "AllowOverride All\nAddHandler wsgi-script .py\nWSGIScriptAlias / /app.py process-group=g",
            "WSGIScriptAlias /g /app.py process-group=g\nWSGIScriptAlias / /app.py process-group=%{GLOBAL}",
            "WSGIScriptAlias / /app.py process-group=g application-group=a\nWSGIImportScript /x.py process-group=g application-group=a",
        ];
        for text in rows {
            assert_eq!(found(text), ["g"], "{text}");
        }
    }

    #[test]
    fn hosts_have_groups_of_their_own() {
        let host = |group: &str| {
            format!("<VirtualHost *>\nWSGIProcessGroup {group}\nWSGIScriptAlias / /{group}.py\n</VirtualHost>\n")
        };
        assert_eq!(found(&(host("a") + &host("b"))), ["a", "b"]);
        assert!(found(&(host("a") + &host("a"))).is_empty());
    }

    #[test]
    fn a_site_with_a_host_for_http_and_one_for_https_is_one_application() {
        let host = |port: u16, name: &str, lines: &str| {
            format!("<VirtualHost *:{port}>\nServerName {name}\n{lines}\n</VirtualHost>\n")
        };
        let alias = "WSGIScriptAlias / /app.py process-group=g";
        let literal = format!("{alias} application-group=shop");
        let both = |first: &str, second: &str| host(80, "shop.example", first) + &host(443, "shop.example", second);
        for text in [
            both(alias, alias),
            both(&literal, &literal),
            both("WSGIProcessGroup g\nWSGIScriptAlias / /app.py", "WSGIProcessGroup g\nWSGIScriptAlias / /app.py"),
            host(80, "shop.example", alias) + &host(443, "https://SHOP.example:443", alias),
            host(8080, "shop.example:8080", alias) + &host(443, "shop.example", alias) + &host(80, "other.example", ""),
            both(&format!("{alias} application-group=%{{SERVER}}"), &format!("{alias} application-group=%{{SERVER}}")),
        ] {
            assert_eq!(found(&text), ["g"], "{text}");
        }
        for text in [
            host(80, "shop.example", alias) + &host(443, "other.example", alias),
            both(alias, "WSGIScriptAlias / /other.py process-group=g"),
            both(alias, "WSGIScriptAlias /shop /app.py process-group=g"),
            both(alias, &literal),
            both(&format!("{alias}\n{alias}"), ""),
            both(&format!("{alias} application-group=%{{HOST}}"), &format!("{alias} application-group=%{{HOST}}")),
            both(alias, &format!("<Location /x>\nWSGIProcessGroup g\n</Location>\n{alias}\nWSGIScriptAlias /x /x.py")),
            format!("<VirtualHost *:80>\n{alias}\n</VirtualHost>\n<VirtualHost *:443>\n{alias}\n</VirtualHost>"),
        ] {
            assert!(found(&text).is_empty(), "{text}");
        }
    }

    #[test]
    fn in_doubt_there_may_be_several() {
        let alias = "WSGIScriptAlias / /app.py process-group=g";
        let rows = [
            // Further ways into the group.
            format!("{alias}\nWSGIScriptAlias /other /other.py process-group=g"),
            format!("{alias}\nWSGIScriptAlias /same /app.py process-group=g"),
            format!("{alias}\nWSGIHandlerScript h /h.py process-group=g"),
            format!("{alias}\nWSGIScriptAliasMatch ^/x /x.py process-group=%{{ENV:G}}"),
            format!("{alias}\n<Location /x>\nWSGIProcessGroup g\n</Location>\nWSGIScriptAlias /x /x.py"),
            format!("{alias}\nWSGIProcessGroup %{{ENV:G}}\nAddHandler wsgi-script .py"),
            "WSGIProcessGroup g\nWSGIScriptAlias / /app.py\n<Directory />\nAllowOverride FileInfo\n</Directory>"
                .to_owned(),
            "WSGIProcessGroup g\nWSGIScriptAlias / /app.py\nSetHandler wsgi-script".to_owned(),
            "WSGIProcessGroup g\nWSGIScriptAlias / /app.py\nRewriteRule x - [H=wsgi-script]".to_owned(),
            "WSGIProcessGroup %{ENV:G}\nWSGIScriptAlias / /app.py".to_owned(),
            // More than one script behind it.
            "WSGIScriptAlias / /directory process-group=g".to_owned(),
            "WSGIScriptAliasMatch ^/(.*) /$1.py process-group=g".to_owned(),
            // More than one application group.
            format!("{alias} application-group=%{{HOST}}"),
            format!("{alias} application-group=%{{ENV:A}}"),
            format!("{alias}\n<Location /x>\nWSGIApplicationGroup x\n</Location>"),
            format!("{alias}\n<VirtualHost *>\n</VirtualHost>"),
            format!("{alias}\nWSGIImportScript /x.py process-group=g application-group=%{{GLOBAL}}"),
            format!("{alias}\nWSGIDispatchScript /d.py"),
            format!("{alias}\nWSGIAccessScript /s.py process-group=g"),
            format!("{alias}\nWSGIAuthUserScript /s.py process-group=%{{SERVER}}"),
            // What is said of single application groups.
            format!(
                "{alias}\n<WSGIInterpreterOptions application-group=a>\nWSGIRestrictStdin On\n</WSGIInterpreterOptions>"
            ),
            format!("{alias}\nWSGIPerInterpreterGIL On"),
            // The main interpreter already.
            format!("{alias} application-group=%{{GLOBAL}}"),
        ];
        for text in rows {
            assert!(found(&text).is_empty(), "{text}");
        }
    }
}
