//! Which process groups serve exactly one application, as far as the configuration proves it: these run in the main
//! interpreter, where every extension module works. In doubt a group is not among them.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;

use crate::policy::words::{all, word};

/// The process group of scripts that are asked about requests where `WSGIRestrictEmbedded` keeps Python out of Apache
/// and they name no group. It is made for them unless the configuration has one of this name.
pub const ACCESS_GROUP: &[u8] = b"wsgi-access";

/// A directive as it was read, with what stands inside if it is a section.
#[derive(Debug, Clone, Default)]
pub struct Node {
    /// Its name, that of a section with `<` in front.
    pub name: Vec<u8>,
    /// What follows.
    pub arguments: Vec<u8>,
    /// What stands inside.
    pub inside: Vec<Node>,
}

/// A place in the configuration.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// The virtual host, counted from 0; `None` is the main server, whose settings are for all.
    host: Option<usize>,
    /// Whether it is in a section of a host.
    in_section: bool,
}

impl Place {
    /// Whether what stands here may count there.
    fn reaches(self, there: Place) -> bool {
        self.host.is_none() || there.host.is_none() || self.host == there.host
    }
}

/// The value of a directive.
#[derive(Debug)]
struct Setting {
    place: Place,
    value: Vec<u8>,
}

/// `WSGIScriptAlias`, `WSGIScriptAliasMatch`, `WSGIHandlerScript` or `WSGIImportScript`.
#[derive(Debug)]
pub(super) struct Target {
    place: Place,
    /// The URL prefix, the pattern or the handler's name; empty for an import.
    url: Vec<u8>,
    pub(super) script: Vec<u8>,
    process_group: Option<Vec<u8>>,
    application_group: Option<Vec<u8>>,
}

/// What there is to know.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// The virtual hosts with their `ServerName`, without scheme and port.
    hosts: Vec<Option<Vec<u8>>>,
    process_groups: Vec<Setting>,
    application_groups: Vec<Setting>,
    /// Aliases of one prefix, whose applications have one SCRIPT_NAME.
    aliases: Vec<Target>,
    /// Other ways to a script.
    others: Vec<Target>,
    imports: Vec<Target>,
    /// Scripts that are asked about requests: `WSGIAccessScript` and its like.
    asked: Vec<Target>,
    /// Whether a script chooses the group of requests.
    dispatched: bool,
    /// Whether there may be directives in `.htaccess`.
    htaccess: bool,
    /// Whether files may become scripts by a handler or by `.htaccess`: they run in the groups that `WSGIProcessGroup`
    /// names.
    loose_files: bool,
    /// Whether single application groups are treated in a way of their own, or groups are chosen for each request by a
    /// script.
    particular: bool,
    /// Whether something else than directives of ours and httpd's may choose what runs.
    particular_scripts: bool,
}

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

fn is_literal(name: &[u8]) -> bool {
    !name.is_empty() && !name.starts_with(b"%")
}

impl Facts {
    /// What the configuration says.
    pub(super) fn of(tree: &[Node]) -> Self {
        let mut facts = Self::default();
        facts.read(tree, Place { host: None, in_section: false });
        facts
    }

    /// Whether files of any name may become scripts of the group.
    pub(super) fn is_open(&self, group: &[u8]) -> bool {
        let may_be = |setting: &Setting| !is_literal(&setting.value) || setting.value == group;
        let any_group = || self.dispatched || self.process_groups.iter().any(may_be);
        self.particular_scripts || self.loose_files && any_group()
    }

    /// What leads requests to scripts in the group, what is imported into it, and what is asked in it.
    pub(super) fn targets<'f>(&'f self, group: &'f [u8]) -> impl Iterator<Item = &'f Target> {
        let requests = self.aliases.iter().chain(&self.others).filter(|target| self.may_run_in(target, group));
        let imports = self.imports.iter().filter(|import| import.process_group.as_deref() == Some(group));
        requests.chain(imports).chain(self.asked.iter().filter(|asked| asked.may_be_asked_in(group)))
    }

    /// Whether a script that names no process group is asked about requests.
    pub(super) fn asks_anywhere(&self) -> bool {
        self.asked.iter().any(|asked| asked.process_group.is_none())
    }

    /// Whether `.htaccess` files may name scripts.
    pub(super) fn has_htaccess(&self) -> bool {
        self.htaccess
    }

    fn read(&mut self, nodes: &[Node], place: Place) {
        for node in nodes {
            let name = node.name.to_ascii_lowercase();
            self.take(&name, node, place);
            match name.as_slice() {
                b"<virtualhost" => {
                    self.hosts.push(None);
                    self.read(&node.inside, Place { host: Some(self.hosts.len() - 1), in_section: false });
                }
                _ => self.read(&node.inside, Place { in_section: true, ..place }),
            }
        }
    }

    fn take(&mut self, name: &[u8], node: &Node, place: Place) {
        let mut rest = node.arguments.as_slice();
        let arguments = node.arguments.to_ascii_lowercase();
        let contains = |text: &[u8]| arguments.windows(text.len()).any(|part| part == text);
        let names_us = contains(b"wsgi-script") || contains(b"x-httpd-wsgi");
        match name {
            b"wsgiprocessgroup" => {
                self.process_groups.extend(word(&mut rest).map(|value| Setting { place, value }));
            }
            b"wsgiapplicationgroup" => {
                self.application_groups.extend(word(&mut rest).map(|value| Setting { place, value }));
            }
            b"wsgiscriptalias" | b"wsgiscriptaliasmatch" | b"wsgihandlerscript" => {
                let url = word(&mut rest).unwrap_or_default();
                let target = Target::new(url, rest, place);
                if name == b"wsgiscriptalias" { &mut self.aliases } else { &mut self.others }.extend(target);
            }
            b"wsgiimportscript" => self.imports.extend(Target::new(Vec::new(), rest, place)),
            b"servername" => {
                if let Some(host) = place.host.filter(|_| !place.in_section).and_then(|host| self.hosts.get_mut(host)) {
                    *host = word(&mut rest).map(|name| host_name(&name));
                }
            }
            b"wsgiaccessscript" | b"wsgiauthuserscript" | b"wsgiauthgroupscript" => {
                self.asked.extend(Target::new(Vec::new(), rest, place));
            }
            b"wsgidispatchscript" => {
                (self.particular, self.dispatched) = (true, true);
                self.asked.extend(Target::new(Vec::new(), rest, place));
            }
            // Code that may make any request anything.
            _ if name.starts_with(b"lua") => self.particular_scripts = true,
            // The handler may come out of the request.
            b"rewriterule" if [&b"h=%"[..], b"h=$", b"handler=%", b"handler=$"].into_iter().any(contains) => {
                self.loose_files = true;
            }
            b"<wsgiinterpreteroptions" => self.particular |= contains(b"application-group"),
            b"wsgiperinterpretergil" => self.particular |= contains(b"on"),
            b"allowoverride" | b"allowoverridelist" => {
                self.htaccess |= arguments.trim_ascii() != b"none";
                self.loose_files |= self.htaccess;
            }
            b"sethandler" => self.loose_files |= names_us || contains(b"%{"),
            _ => self.loose_files |= names_us,
        }
    }

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
                let imports = self.imports.iter().filter(|import| import.process_group.as_deref() == Some(group));
                imports
                    .into_iter()
                    .all(|import| is_literal(&name) && import.application_group.as_deref() == Some(&name))
            })
    }

    /// Whether two aliases are of one application: that of a site that has a virtual host for HTTP and another one for
    /// HTTPS.
    fn are_one(&self, alias: &Target, other: &Target) -> bool {
        let host = |target: &Target| target.place.host.and_then(|host| self.hosts.get(host)?.as_ref());
        let one_site = host(alias).is_some() && host(alias) == host(other) && alias.place.host != other.place.host;
        one_site
            && !(alias.place.in_section || other.place.in_section)
            && (&alias.url, &alias.script, self.process_group(alias))
                == (&other.url, &other.script, self.process_group(other))
            && self.application_group(alias) == self.application_group(other)
    }

    /// The process group of an alias as it is written, or the one directive that says it.
    fn process_group<'a>(&'a self, alias: &'a Target) -> Option<&'a [u8]> {
        if alias.process_group.is_some() {
            return alias.process_group.as_deref();
        }
        let mut reaching = self.process_groups.iter().filter(|setting| setting.place.reaches(alias.place));
        let (first, second) = (reaching.next()?, reaching.next());
        second.is_none().then_some(&first.value)
    }

    /// Whether requests for the target may be sent to the group.
    fn may_run_in(&self, target: &Target, group: &[u8]) -> bool {
        let may_be = |name: &[u8]| name == group || (name.starts_with(b"%") && name != b"%{GLOBAL}");
        if self.dispatched {
            return true;
        }
        match &target.process_group {
            Some(name) => may_be(name),
            None => self.process_groups.iter().any(|s| s.place.reaches(target.place) && may_be(&s.value)),
        }
    }

    /// The one application group of an alias as it is written, if it is one and not the main interpreter anyway.
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

impl Target {
    /// Whether this script, which is asked about requests, may be asked in a process of the group.
    fn may_be_asked_in(&self, group: &[u8]) -> bool {
        match self.process_group.as_deref() {
            None => group == ACCESS_GROUP,
            Some(name) => name == group || (name.starts_with(b"%") && name != b"%{GLOBAL}"),
        }
    }

    /// From what follows the URL or the handler's name; `None` if it says nothing.
    fn new(url: Vec<u8>, mut rest: &[u8], place: Place) -> Option<Self> {
        let script = word(&mut rest)?;
        let mut target = Self { place, url, script, process_group: None, application_group: None };
        for option in all(rest) {
            let (process, application) =
                (option.strip_prefix(b"process-group="), option.strip_prefix(b"application-group="));
            if let Some(name) = process {
                target.process_group = Some(unquoted(name));
            }
            if let Some(name) = application {
                target.application_group = Some(unquoted(name));
            }
        }
        Some(target)
    }
}

/// The host in a `ServerName`, which may have a scheme in front and a port behind.
fn host_name(value: &[u8]) -> Vec<u8> {
    let start = value.windows(3).position(|part| part == b"://").map_or(0, |at| at + 3);
    let host = &value[start..];
    // An IPv6 address has colons too, and its port behind a bracket.
    let end = host.iter().rposition(|b| *b == b':' || *b == b']').filter(|at| host[*at] == b':').unwrap_or(host.len());
    host[..end].to_ascii_lowercase()
}

fn unquoted(mut value: &[u8]) -> Vec<u8> {
    word(&mut value).unwrap_or_default()
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
    fn host_names_are_compared_without_scheme_and_port() {
        for (value, name) in [("A.b", "a.b"), ("https://a.b:443", "a.b"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]")] {
            assert_eq!(host_name(value.as_bytes()), name.as_bytes(), "{value}");
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
            "WSGIScriptAlias / /folder process-group=g".to_owned(),
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
