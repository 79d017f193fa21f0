//! What directives leave behind: per directory-like section, and per server.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::ffi::CString;
use std::sync::Arc;

use wsgi_wire::record::Format;

use crate::httpd::regex::Regex;
use crate::policy::guarded::Root;
use crate::policy::proxies::{Subnet, TrustedHeader};

/// Bytes that all records share which have inherited the same setting.
pub type Shared = Arc<[u8]>;

/// Declares the settings of a section: every field is optional, and a more specific section overrides field by field.
macro_rules! layers {
    ($(#[$doc:meta])* pub struct $name:ident { $($(#[$field_doc:meta])* pub $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default)]
        pub struct $name { $($(#[$field_doc])* pub $field: Option<$type>,)* }

        impl $name {
            /// These settings with those of a more specific section over them.
            pub fn merge(&self, over: &Self) -> Self {
                Self { $($field: over.$field.clone().or_else(|| self.$field.clone()),)* }
            }
        }
    };
}

layers! {
    /// Settings of requests: server, virtual host, directory-like sections and `.htaccess`, the later over the earlier.
    pub struct RequestSettings {
        /// `WSGIProcessGroup`, not expanded.
        pub process_group: Shared,
        /// `WSGIApplicationGroup`, not expanded.
        pub application_group: Shared,
        /// `WSGICallableObject`, not expanded.
        pub callable: Shared,
        /// `WSGIRestrictProcess`: the groups that may be used; the empty name is embedded mode.
        pub restrict_process: Arc<[Vec<u8>]>,
        /// The value of `WSGIPassAuthorization`.
        pub pass_authorization: bool,
        /// `WSGIPassApacheRequest`: for embedded mode.
        pub pass_apache_request: bool,
        /// The value of `WSGIScriptReloading`.
        pub script_reloading: bool,
        /// The value of `WSGIErrorOverride`.
        pub error_override: bool,
        /// The value of `WSGIChunkedRequest`.
        pub chunked_request: bool,
        /// The value of `WSGIMapHEADToGET`.
        pub map_head: crate::policy::head::Mapping,
        /// The value of `WSGIIgnoreActivity`.
        pub ignore_activity: bool,
        /// `WSGITrustedProxyHeaders`, in order.
        pub trusted_headers: Arc<[TrustedHeader]>,
        /// The value of `WSGITrustedProxies`.
        pub trusted_proxies: Arc<[Subnet]>,
        /// The value of `WSGIEnableSendfile`.
        pub enable_sendfile: bool,
        /// The value of `WSGISendfileRoot`.
        pub sendfile_roots: Arc<[Root]>,
        /// `WSGIHandlerScript`, by handler name.
        pub handlers: Handlers,
        /// The value of `WSGIDispatchScript`.
        pub dispatch_script: Arc<AskedScript>,
        /// The value of `WSGIAccessScript`.
        pub access_script: Arc<AskedScript>,
        /// The value of `WSGIAuthUserScript`.
        pub auth_user_script: Arc<AskedScript>,
        /// The value of `WSGIAuthGroupScript`.
        pub auth_group_script: Arc<AskedScript>,
    }
}

/// A script that is asked about requests before anything answers them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedScript {
    /// The path of the file.
    pub script: Vec<u8>,
    /// `process-group`, not expanded; empty is embedded mode.
    pub process_group: Option<Vec<u8>>,
    /// `application-group`, not expanded.
    pub application_group: Option<Vec<u8>>,
}

/// Handler scripts by handler name. Those of a more specific section are added to those around it.
#[derive(Debug, Clone, Default)]
pub struct Handlers(pub Arc<BTreeMap<Vec<u8>, Arc<HandlerScript>>>);

/// One handler, as `WSGIHandlerScript` defines it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HandlerScript {
    /// The script whose `handle_request` answers.
    pub script: Vec<u8>,
    /// `process-group`, not expanded.
    pub process_group: Option<Vec<u8>>,
    /// `application-group`, not expanded.
    pub application_group: Option<Vec<u8>>,
    /// The value of `pass-authorization`.
    pub pass_authorization: Option<bool>,
}

impl RequestSettings {
    /// Merges as [`Self::merge`] does, but adds the handler scripts of the more specific section to those around it.
    pub fn overlay(&self, over: &Self) -> Self {
        let mut merged = self.merge(over);
        if let (Some(base), Some(over)) = (&self.handlers, &over.handlers) {
            let mut all = (*base.0).clone();
            all.extend(over.0.iter().map(|(name, script)| (name.clone(), script.clone())));
            merged.handlers = Some(Handlers(Arc::new(all)));
        }
        merged
    }

    /// The handler script of a handler name.
    pub fn handler_script(&self, name: &[u8]) -> Option<&Arc<HandlerScript>> {
        self.handlers.as_ref()?.0.get(name)
    }
}

/// Settings of the main server or a virtual host.
#[derive(Debug, Clone, Default)]
pub struct ServerSettings {
    /// `WSGIScriptAlias` and `WSGIScriptAliasMatch` in the order in which they are tried.
    pub aliases: Vec<Arc<Alias>>,
    /// The value of `WSGILogFormat`.
    pub log_format: Option<Format>,
}

impl ServerSettings {
    /// A virtual host's own aliases come first, then those of the main server.
    pub fn merge(&self, over: &Self) -> Self {
        Self {
            aliases: over.aliases.iter().chain(&self.aliases).cloned().collect(),
            log_format: over.log_format.or(self.log_format),
        }
    }
}

/// Which URLs an alias is for.
#[derive(Debug)]
pub enum Pattern {
    /// A prefix of whole path segments.
    Prefix(Vec<u8>),
    /// An extended regular expression.
    Regex(Regex),
}

/// One script alias.
#[derive(Debug)]
pub struct Alias {
    /// Which URLs it is for.
    pub pattern: Pattern,
    /// The script or directory; for a regular expression with `$n` in it.
    pub target: CString,
    /// `process-group`, not expanded; `%{GLOBAL}` is the empty name.
    pub process_group: Option<Vec<u8>>,
    /// `application-group`, not expanded; `%{GLOBAL}` is the empty name.
    pub application_group: Option<Vec<u8>>,
    /// The value of `callable-object`.
    pub callable: Option<Vec<u8>>,
    /// The value of `pass-authorization`.
    pub pass_authorization: Option<bool>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_specific_section_wins_where_it_says_something() {
        let outer = RequestSettings {
            process_group: Some(Arc::from(&b"a"[..])),
            error_override: Some(true),
            ..Default::default()
        };
        let inner = RequestSettings { process_group: Some(Arc::from(&b"b"[..])), ..Default::default() };
        let merged = outer.overlay(&inner);
        assert_eq!((merged.process_group.as_deref(), merged.error_override), (Some(&b"b"[..]), Some(true)));
        assert_eq!(merged.chunked_request, None);
    }

    #[test]
    fn handler_scripts_add_up() {
        let with = |name: &str, script: &str| RequestSettings {
            handlers: Some(Handlers(Arc::new(BTreeMap::from([(
                name.into(),
                Arc::new(HandlerScript { script: script.into(), ..Default::default() }),
            )])))),
            ..Default::default()
        };
        let merged = with("a", "/1").overlay(&with("b", "/2")).overlay(&with("a", "/3"));
        assert_eq!(merged.handler_script(b"a").unwrap().script, b"/3");
        assert_eq!(merged.handler_script(b"b").unwrap().script, b"/2");
        assert!(merged.handler_script(b"c").is_none());
    }
}
