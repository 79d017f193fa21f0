//! Which scripts requests can lead to in a process group, as far as the configuration says it: its processes run no
//! others, whoever asks.
#![forbid(unsafe_code)]

use std::borrow::Cow;

use super::path::single_slashes;
use super::script_directives::{ACCESS_GROUP, Facts};
use super::tree::Node;

/// The scripts that the configuration lets requests lead to, for all groups.
#[derive(Debug, Default)]
pub struct ReachableScripts {
    facts: Facts,
}

impl ReachableScripts {
    /// Reads the configuration.
    pub fn read(tree: &[Node]) -> Self {
        Self { facts: Facts::of(tree) }
    }

    /// Scripts and directories of scripts of the group; `None` if the configuration leaves it open: files of any name
    /// may become its scripts (a handler, `.htaccess`), or a directive names none that could be told now.
    pub fn of(&self, group: &[u8]) -> Option<Vec<Vec<u8>>> {
        if self.facts.is_open(group) || group == ACCESS_GROUP && self.facts.has_htaccess() {
            return None;
        }
        self.facts.targets(group).map(|target| place(&target.script)).collect()
    }

    /// Whether requests may be decided by a script that names no process group, so that the group for such scripts is
    /// needed.
    pub fn need_access_group(&self) -> bool {
        self.facts.asks_anywhere()
    }
}

/// Returns the path that a target leads to; `None` if that cannot be told: it is no absolute path, or begins with a
/// part of the request.
fn place(target: &[u8]) -> Option<Vec<u8>> {
    let path: Cow<'_, [u8]> = single_slashes(target);
    let known = match path.iter().position(|byte| matches!(byte, b'$' | b'&' | b'\\')) {
        // The directory in front of what comes out of the request.
        Some(at) => &path[..path[..at].iter().rposition(|byte| *byte == b'/')?],
        None => path.strip_suffix(b"/").unwrap_or(&path),
    };
    let is_plain = known.split(|byte| *byte == b'/').all(|part| !matches!(part, b"." | b".."));
    (known.starts_with(b"/") && is_plain).then(|| known.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, arguments: &str) -> Node {
        Node { name: name.into(), arguments: arguments.into(), inside: Vec::new() }
    }

    fn of(group: &str, lines: &[(&str, &str)]) -> Option<Vec<String>> {
        let tree: Vec<Node> = lines.iter().map(|(name, arguments)| node(name, arguments)).collect();
        let found = ReachableScripts::read(&tree).of(group.as_bytes())?;
        Some(found.into_iter().map(|place| String::from_utf8(place).unwrap()).collect())
    }

    #[test]
    fn what_leads_to_scripts_of_a_group_is_known() {
        let lines = [
            ("WSGIScriptAlias", "/ /srv/shop/app.wsgi process-group=shop"),
            ("WSGIScriptAlias", "/tools/ /srv//tools/ process-group=shop"),
            ("WSGIScriptAliasMatch", "^/user/(\\w+) /home/wsgi/$1/site.wsgi process-group=%{ENV:GROUP}"),
            ("WSGIHandlerScript", "special /srv/handler.py process-group=other"),
            ("WSGIImportScript", "/srv/warm.py process-group=other application-group=%{GLOBAL}"),
        ];
        let shop = ["/srv/shop/app.wsgi", "/srv/tools", "/home/wsgi"].map(str::to_owned);
        assert_eq!(of("shop", &lines), Some(shop.to_vec()));
        let other = ["/home/wsgi", "/srv/handler.py", "/srv/warm.py"].map(str::to_owned);
        assert_eq!(of("other", &lines), Some(other.to_vec()));
    }

    #[test]
    fn the_name_of_a_group_is_read_as_its_directive_reads_it() {
        for option in ["process-group='my shop'", "process-group=\"my shop\"", "process-group= 'my shop'"] {
            for options in [option.to_owned(), format!("application-group='a process-group=b' {option}")] {
                let line = ("WSGIScriptAlias", &*format!("/ '/srv/my app.wsgi' {options}"));
                assert_eq!(of("my shop", &[line]), Some(vec!["/srv/my app.wsgi".to_owned()]), "{options}");
                assert_eq!(of("b", &[line]), Some(vec![]), "{options}");
            }
        }
    }

    #[test]
    fn scripts_that_are_asked_about_requests_lead_to_their_group() {
        let lines = [
            ("WSGIAccessScript", "/srv/access.py"),
            ("WSGIAuthUserScript", "/srv/users.py process-group=staff"),
            ("WSGIAuthGroupScript", "/srv/groups.py process-group=%{GLOBAL}"),
        ];
        assert_eq!(of("wsgi-access", &lines), Some(vec!["/srv/access.py".to_owned()]));
        assert_eq!(of("staff", &lines), Some(vec!["/srv/users.py".to_owned()]));
        assert_eq!(of("other", &lines), Some(vec![]));
        let htaccess = [lines[0], ("AllowOverride", "AuthConfig")];
        assert_eq!(of("wsgi-access", &htaccess), None);
        let needs = |lines: &[(&str, &str)]| {
            let tree: Vec<Node> = lines.iter().map(|(name, arguments)| node(name, arguments)).collect();
            ReachableScripts::read(&tree).need_access_group()
        };
        assert!(needs(&lines) && !needs(&lines[1..]));
        for (name, arguments, needed) in [
            ("AllowOverride", "None", false),
            ("AllowOverride", "FileInfo Indexes", false),
            ("AllowOverride", "AuthConfig", true),
            ("AllowOverride", "All", true),
            ("AllowOverrideList", "Redirect", false),
            ("AllowOverrideList", "Redirect WSGIAccessScript", true),
        ] {
            assert_eq!(needs(&[(name, arguments)]), needed, "{name} {arguments}");
        }
    }

    #[test]
    fn a_dispatch_script_may_choose_any_group_for_what_is_an_application_already() {
        let lines = [("WSGIScriptAlias", "/ /srv/app.wsgi process-group=a"), ("WSGIDispatchScript", "/srv/d.py")];
        assert_eq!(of("b", &lines), Some(vec!["/srv/app.wsgi".to_owned()]));
        assert_eq!(of("b", &[lines[1], ("AddHandler", "wsgi-script .wsgi")]), None);
    }

    #[test]
    fn what_the_configuration_leaves_open_stays_open() {
        for line in [
            ("AddHandler", "wsgi-script .wsgi"),
            ("SetHandler", "%{reqenv:HANDLER}"),
            ("AllowOverride", "FileInfo"),
            ("RewriteRule", "^/x /srv/x [H=wsgi-script]"),
            ("RewriteRule", "^/x /srv/x [H=%{ENV:H}]"),
            ("AddType", "application/x-httpd-wsgi .py"),
        ] {
            assert_eq!(of("g", &[line, ("WSGIProcessGroup", "g")]), None, "{line:?}");
            assert_eq!(of("g", &[line, ("WSGIProcessGroup", "h")]), Some(vec![]), "{line:?}");
        }
        assert_eq!(of("g", &[("LuaMapHandler", "/x /y.lua")]), None);
        for target in ["apps/site.wsgi", "$1", "/$1", "/srv/../x"] {
            let told = of("g", &[("WSGIScriptAliasMatch", &format!("^/(.*) {target} process-group=g"))]);
            assert_eq!(told, None, "{target}");
        }
    }
}
