//! What the configuration says of scripts and of the process groups that they run in, as far as a look at its
//! directives tells.
#![forbid(unsafe_code)]

use super::tree::Node;
use super::words::{all, option, word};

/// The process group of scripts that are asked about requests where `WSGIRestrictEmbedded` keeps Python out of Apache
/// and they name no group. It is made for them unless the configuration has one of this name.
pub const ACCESS_GROUP: &[u8] = b"wsgi-access";

/// The directives of scripts that decide whether a request may go on, which may stand in `.htaccess`.
const ASKED: [&[u8]; 3] = [b"wsgiaccessscript", b"wsgiauthuserscript", b"wsgiauthgroupscript"];

/// A place in the configuration.
#[derive(Debug, Clone, Copy)]
pub(super) struct ConfigPosition {
    /// The virtual host, counted from 0; `None` is the main server, whose settings are for all.
    pub(super) host: Option<usize>,
    /// Whether it is in a section of a host.
    pub(super) in_section: bool,
}

impl ConfigPosition {
    /// Whether a setting at this position may count at the other one.
    pub(super) fn reaches(self, there: ConfigPosition) -> bool {
        self.host.is_none() || there.host.is_none() || self.host == there.host
    }
}

/// The value of a directive, and where it stands.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) place: ConfigPosition,
    pub(super) value: Vec<u8>,
}

/// `WSGIScriptAlias`, `WSGIScriptAliasMatch`, `WSGIHandlerScript` or `WSGIImportScript`.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) place: ConfigPosition,
    /// The URL prefix, the pattern or the handler's name; empty for an import.
    pub(super) url: Vec<u8>,
    pub(super) script: Vec<u8>,
    /// The process group as it is written here, if it is.
    pub(super) process_group: Option<Vec<u8>>,
    /// The application group as it is written here, if it is.
    pub(super) application_group: Option<Vec<u8>>,
}

/// What the whole configuration says of scripts and groups.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// The virtual hosts with their `ServerName`, without scheme and port.
    pub(super) hosts: Vec<Option<Vec<u8>>>,
    pub(super) process_groups: Vec<Setting>,
    pub(super) application_groups: Vec<Setting>,
    /// Aliases of one prefix, whose applications have one SCRIPT_NAME.
    pub(super) aliases: Vec<Target>,
    /// Other ways to a script.
    pub(super) others: Vec<Target>,
    pub(super) imports: Vec<Target>,
    /// Scripts that are asked about requests: `WSGIAccessScript` and its like.
    pub(super) asked: Vec<Target>,
    /// Whether a script chooses the group of requests.
    pub(super) dispatched: bool,
    /// Whether there may be directives in `.htaccess`.
    pub(super) htaccess: bool,
    /// Whether `.htaccess` files may name scripts that are asked about requests.
    pub(super) asked_by_htaccess: bool,
    /// Whether files may become scripts by a handler or by `.htaccess`: they run in the groups that `WSGIProcessGroup`
    /// names.
    pub(super) loose_files: bool,
    /// Whether requests are treated in a way that a look at the directives does not tell: single application groups
    /// have settings of their own, or a script chooses the group of each request.
    pub(super) particular: bool,
    /// Whether something else than directives of mod_wsgi and httpd may choose which script runs.
    pub(super) particular_scripts: bool,
}

/// Whether a name has no expansion in it, so that it is the same for every request.
pub(super) fn is_literal(name: &[u8]) -> bool {
    !name.is_empty() && !name.starts_with(b"%")
}

impl Facts {
    /// Reads the directives of the configuration.
    pub(super) fn of(tree: &[Node]) -> Self {
        let mut facts = Self::default();
        facts.read(tree, ConfigPosition { host: None, in_section: false });
        facts
    }

    /// Whether files of any name may become scripts of the group.
    pub(super) fn is_open(&self, group: &[u8]) -> bool {
        let may_be = |setting: &Setting| !is_literal(&setting.value) || setting.value == group;
        let any_group = || self.dispatched || self.process_groups.iter().any(may_be);
        self.particular_scripts || self.loose_files && any_group()
    }

    /// The targets by which requests lead to scripts in the group, the scripts that are imported into it, and those
    /// that are asked in it.
    pub(super) fn targets<'f>(&'f self, group: &'f [u8]) -> impl Iterator<Item = &'f Target> {
        let requests = self.aliases.iter().chain(&self.others).filter(|target| self.may_run_in(target, group));
        requests.chain(self.imports_into(group)).chain(self.asked.iter().filter(|asked| asked.may_be_asked_in(group)))
    }

    /// The scripts that processes of the group load when they start.
    pub(super) fn imports_into<'f>(&'f self, group: &'f [u8]) -> impl Iterator<Item = &'f Target> {
        self.imports.iter().filter(move |import| import.process_group.as_deref() == Some(group))
    }

    /// Whether a script that names no process group is asked about requests, or may be.
    pub(super) fn asks_anywhere(&self) -> bool {
        self.asked_by_htaccess || self.asked.iter().any(|asked| asked.process_group.is_none())
    }

    /// Whether `.htaccess` files may name scripts.
    pub(super) fn has_htaccess(&self) -> bool {
        self.htaccess
    }

    fn read(&mut self, nodes: &[Node], place: ConfigPosition) {
        for node in nodes {
            let name = node.name.to_ascii_lowercase();
            self.take(&name, node, place);
            match name.as_slice() {
                b"<virtualhost" => {
                    self.hosts.push(None);
                    self.read(&node.inside, ConfigPosition { host: Some(self.hosts.len() - 1), in_section: false });
                }
                _ => self.read(&node.inside, ConfigPosition { in_section: true, ..place }),
            }
        }
    }

    fn take(&mut self, name: &[u8], node: &Node, place: ConfigPosition) {
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
            _ if ASKED.contains(&name) => {
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
                let words = all(&arguments);
                let names_asked = |word: &[u8]| ASKED.contains(&word) || word == b"authconfig" || word == b"all";
                self.asked_by_htaccess |= words.iter().any(|word| names_asked(word));
            }
            b"sethandler" => self.loose_files |= names_us || contains(b"%{"),
            _ => self.loose_files |= names_us,
        }
    }

    /// Whether requests for the target may be sent to the group.
    pub(super) fn may_run_in(&self, target: &Target, group: &[u8]) -> bool {
        let may_be = |name: &[u8]| name == group || (name.starts_with(b"%") && name != b"%{GLOBAL}");
        if self.dispatched {
            return true;
        }
        match &target.process_group {
            Some(name) => may_be(name),
            None => self.process_groups.iter().any(|s| s.place.reaches(target.place) && may_be(&s.value)),
        }
    }
}

impl Target {
    /// Whether this script, which is asked about requests, may be asked in a process of the group.
    pub(super) fn may_be_asked_in(&self, group: &[u8]) -> bool {
        match self.process_group.as_deref() {
            None => group == ACCESS_GROUP,
            Some(name) => name == group || (name.starts_with(b"%") && name != b"%{GLOBAL}"),
        }
    }

    /// Makes a target of the words that follow the URL or the handler's name; `None` if they name no script.
    fn new(url: Vec<u8>, mut rest: &[u8], place: ConfigPosition) -> Option<Self> {
        let script = word(&mut rest)?;
        let mut target = Self { place, url, script, process_group: None, application_group: None };
        // As their own directives read them; those have refused what is none of these.
        let known = ["process-group", "application-group", "callable-object", "pass-authorization"];
        while let Ok(Some(value)) = option(&mut rest, &known) {
            match value.option {
                "process-group" => target.process_group = Some(value.text),
                "application-group" => target.application_group = Some(value.text),
                _ => {}
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_are_compared_without_scheme_and_port() {
        for (value, name) in [("A.b", "a.b"), ("https://a.b:443", "a.b"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]")] {
            assert_eq!(host_name(value.as_bytes()), name.as_bytes(), "{value}");
        }
    }
}
