//! Which variables of a request the configuration looks at once an application has been found for it: `%{SCRIPT_NAME}e`
//! in a `LogFormat`, say. What is looked at before that, by mod_rewrite for one, never sees them.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;

use wsgi_wire::names;

use super::tree::Node;

/// The variables of requests that the configuration looks at.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ObservedVariables {
    /// Whether something may look at any variable.
    everything: bool,
    /// The names of the variables, as they are written in the configuration.
    names: BTreeSet<Vec<u8>>,
}

/// Directives that do not look at variables once an application has been found, by the beginnings of their names in
/// small letters: they act before that, or not on variables at all.
const OVER: [&[u8]; 13] = [
    b"setenv",
    b"browsermatch",
    b"unsetenv",
    b"passenv",
    b"rewrite",
    b"requestheader",
    b"<if",
    b"<elseif",
    b"require",
    b"allow",
    b"deny",
    b"errorlogformat",
    b"wsgi",
];

/// Directives that run code of others, which may look at any variable.
const CODE: [&[u8]; 4] = [b"luahooklog", b"luaoutputfilter", b"extfilterdefine", b"perl"];

/// Directives that may switch mod_include on, whose documents may show any variable.
const FILTERS: [&[u8]; 3] = [b"setoutputfilter", b"addoutputfilter", b"filterprovider"];

impl ObservedVariables {
    /// Reads the configuration.
    pub fn read(tree: &[Node]) -> Self {
        let mut observed = Self::default();
        observed.take(tree);
        observed
    }

    /// Whether any variable may be looked at.
    pub fn is_everything(&self) -> bool {
        self.everything
    }

    /// Whether no variable is looked at.
    pub fn is_nothing(&self) -> bool {
        !self.everything && self.names.is_empty()
    }

    /// Whether the variable of this name is looked at. Apache does not tell capital letters from small ones.
    pub fn has(&self, name: &[u8]) -> bool {
        self.everything || self.names.iter().any(|observed| observed.eq_ignore_ascii_case(name))
    }

    fn take(&mut self, nodes: &[Node]) {
        for node in nodes {
            let name = node.name.to_ascii_lowercase();
            let is_one_of = |names: &[&[u8]]| names.iter().any(|begin| name.starts_with(begin));
            let arguments = node.arguments.as_slice();
            if is_one_of(&CODE) || is_one_of(&FILTERS) && mentions(arguments, b"includes") {
                self.everything = true;
            } else if !is_one_of(&OVER) {
                self.take_formats(arguments);
                self.take_expressions(arguments);
            }
            self.take(&node.inside);
        }
    }

    /// Takes the variables of a log format, `%{NAME}e`.
    fn take_formats(&mut self, arguments: &[u8]) {
        for (at, _) in arguments.windows(2).enumerate().filter(|(_, pair)| *pair == b"}e") {
            if let Some(begin) = arguments[..at].iter().rposition(|byte| *byte == b'{') {
                self.want(&arguments[begin + 1..at]);
            }
        }
    }

    /// Takes the variables of `env=NAME` and `env=!NAME`, of `%{ENV:NAME}`, `%{reqenv:NAME}` and `reqenv('NAME')` in
    /// expressions, and of mod_security's `ENV:NAME` and `%{ENV.NAME}`.
    fn take_expressions(&mut self, arguments: &[u8]) {
        for at in 0..arguments.len().saturating_sub(3) {
            let rest = &arguments[at..];
            if !rest[..3].eq_ignore_ascii_case(b"env") || !matches!(rest[3], b'=' | b':' | b'.' | b'(') {
                continue;
            }
            let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
            let begin = rest[4..].iter().position(|byte| !b"!'\"\\ ".contains(byte)).map_or(rest.len(), |n| n + 4);
            let name = &rest[begin..];
            match name.iter().position(|byte| !is_part(byte)).unwrap_or(name.len()) {
                // An expression gives the name.
                0 if rest[3] == b'(' => self.everything = true,
                end => self.want(&name[..end]),
            }
        }
    }

    fn want(&mut self, name: &[u8]) {
        if is_ours(name) {
            self.names.insert(name.to_vec());
        }
    }
}

/// Whether requests for applications may have a variable of this name, beside those of SetEnv and other modules.
fn is_ours(name: &[u8]) -> bool {
    let begins = |prefix: &[u8]| name.get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix));
    let is_known = names::KNOWN.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
    is_known || begins(b"HTTP_") || REDIRECTED.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// The variables by which a request that is redirected internally knows the one before it.
const REDIRECTED: [&[u8]; 3] = [b"REDIRECT_URL", b"REDIRECT_QUERY_STRING", b"REDIRECT_REMOTE_USER"];

fn mentions(arguments: &[u8], word: &[u8]) -> bool {
    arguments.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> ObservedVariables {
        let node = |line: &&str| {
            let (name, arguments) = line.split_once(' ').unwrap();
            Node { name: name.into(), arguments: arguments.into(), inside: Vec::new() }
        };
        let host =
            Node { name: b"<VirtualHost".into(), arguments: b"*:80".into(), inside: lines.iter().map(node).collect() };
        ObservedVariables::read(&[host])
    }

    #[test]
    fn what_is_looked_at_is_found() {
        for (line, name) in [
            (r#"LogFormat "%h \"%{SCRIPT_NAME}e\" %{Referer}i" shop"#, "SCRIPT_NAME"),
            (r#"CustomLog logs/access "%>{mod_wsgi.process_group}e""#, "mod_wsgi.process_group"),
            ("CustomLog logs/slow shop env=!HTTP_X_PROBE", "HTTP_X_PROBE"),
            (r#"CustomLog logs/slow shop "expr=reqenv('REMOTE_USER') == 'x'""#, "REMOTE_USER"),
            (r#"CustomLog logs/slow shop "expr=%{reqenv:PATH_INFO} =~ /a/""#, "PATH_INFO"),
            ("Header always set Strict-Transport-Security max-age=1 env=HTTPS", "HTTPS"),
            ("Header set X-Script %{script_name}e", "SCRIPT_NAME"),
            (r#"LogMessage "%{ENV:REQUEST_URI}" hook=log_transaction"#, "REQUEST_URI"),
            (r#"SecRule ENV:SCRIPT_FILENAME "@contains x" phase:5"#, "SCRIPT_FILENAME"),
            (r#"SecAction "phase:5,msg:'%{ENV.QUERY_STRING}'""#, "QUERY_STRING"),
        ] {
            let observed = read(&[line]);
            assert!(observed.has(name.as_bytes()) && !observed.is_everything(), "{line}");
            assert!(!observed.has(b"DOCUMENT_ROOT") && !observed.is_nothing(), "{line}");
        }
    }

    #[test]
    fn what_code_looks_at_is_everything() {
        for line in [
            "LuaHookLog /srv/log.lua log",
            "SetOutputFilter DEFLATE;INCLUDES",
            "AddOutputFilterByType includes text/html",
            "PerlLogHandler Shop::Log",
            r#"Header set X-It "expr=%{tolower:reqenv(%{req:X-Name})}""#,
        ] {
            assert!(read(&[line]).has(b"SCRIPT_NAME") && read(&[line]).is_everything(), "{line}");
        }
    }

    #[test]
    fn what_others_look_at_for_themselves_costs_nothing() {
        let observed = read(&[
            r#"LogFormat "%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{SSL_PROTOCOL}x\" %{UNIQUE_ID}e" combined"#,
            "CustomLog logs/access combined env=!dontlog",
            "SetEnvIf Request_URI ^/a env=SCRIPT_NAME",
            "RewriteCond %{ENV:HTTPS} =on",
            "RewriteRule ^ - [E=SCRIPT_NAME:%{ENV:SCRIPT_NAME}]",
            "RequestHeader set X-Script %{SCRIPT_NAME}e",
            "Require env SCRIPT_NAME",
            "WSGIDaemonProcess shop env=HTTP_HOST=x",
            "WSGIProcessGroup %{ENV:HTTP_HOST}",
            "SetOutputFilter DEFLATE",
            "Header set X-Frame-Options DENY",
            "DocumentRoot /env",
        ]);
        assert_eq!(observed, ObservedVariables::default());
        assert!(observed.is_nothing() && !observed.has(b"SCRIPT_NAME"));
    }
}
