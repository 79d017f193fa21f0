//! Directives about requests: where they run and how they are treated.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::sync::Arc;

use super::directive::Line;
use super::settings::{AskedScript, HandlerScript, Handlers, RequestSettings};
use crate::policy::guarded::Root;
use crate::policy::head::Mapping;
use crate::policy::proxies::{Subnet, TrustedHeader};
use crate::policy::words::{self, ArgumentError, all, flag, one, option, word};

const NAME: &str = "one argument, a name";
const SCRIPT: &str = "a script, then options";

/// Declares setters of `On|Off` directives.
macro_rules! switches {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        $($(#[$doc])*
        pub fn $name(settings: &mut RequestSettings, line: &Line<'_>) -> Result<(), ArgumentError> {
            settings.$name = Some(flag(line.arguments)?);
            Ok(())
        })*
    };
}

switches! {
    /// The setter of `WSGIPassAuthorization`.
    pass_authorization;
    /// The setter of `WSGIPassApacheRequest`.
    pass_apache_request;
    /// The setter of `WSGIScriptReloading`.
    script_reloading;
    /// The setter of `WSGIErrorOverride`.
    error_override;
    /// The setter of `WSGIChunkedRequest`.
    chunked_request;
    /// The setter of `WSGIIgnoreActivity`.
    ignore_activity;
    /// The setter of `WSGIEnableSendfile`.
    enable_sendfile;
}

/// Sets `WSGIProcessGroup`; the name is looked up when a request comes.
pub fn process_group(settings: &mut RequestSettings, line: &Line<'_>) -> Result<(), ArgumentError> {
    settings.process_group = Some(one(line.arguments, NAME)?.into());
    Ok(())
}

/// The setter of `WSGIApplicationGroup`.
pub fn application_group(settings: &mut RequestSettings, line: &Line<'_>) -> Result<(), ArgumentError> {
    settings.application_group = Some(one(line.arguments, NAME)?.into());
    Ok(())
}

/// The setter of `WSGICallableObject`.
pub fn callable(settings: &mut RequestSettings, line: &Line<'_>) -> Result<(), ArgumentError> {
    settings.callable = Some(one(line.arguments, NAME)?.into());
    Ok(())
}

/// Sets `WSGIRestrictProcess name …`, in place of what a section around it says.
pub fn restrict_process(settings: &mut RequestSettings, line: &Line<'_>) -> Result<(), ArgumentError> {
    let names = all(line.arguments).into_iter().map(|n| if n == b"%{GLOBAL}" { Vec::new() } else { n });
    settings.restrict_process = Some(names.collect());
    Ok(())
}

/// The setter of `WSGIMapHEADToGET`.
pub fn map_head(settings: &mut RequestSettings, line: &Line<'_>) -> Result<(), ArgumentError> {
    let given = one(line.arguments, "one argument: On, Off or Auto")?;
    let mapping = match given.to_ascii_lowercase().as_slice() {
        b"on" => Mapping::On,
        b"off" => Mapping::Off,
        b"auto" => Mapping::Auto,
        _ => return Err(ArgumentError::value("the argument", &given, "On, Off or Auto")),
    };
    settings.map_head = Some(mapping);
    Ok(())
}

/// Adds to `WSGITrustedProxyHeaders`. Names that stand for nothing we know are ignored, as by the peer.
pub fn trusted_headers(settings: &mut RequestSettings, line: &Line<'_>) -> Result<(), ArgumentError> {
    let mut headers = settings.trusted_headers.take().map(|h| h.to_vec()).unwrap_or_default();
    for name in all(line.arguments) {
        if !name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-') {
            return Err(ArgumentError::value("the header", &name, "a name of letters, digits and -"));
        }
        headers.extend(TrustedHeader::parse(&name));
    }
    settings.trusted_headers = Some(headers.into());
    Ok(())
}

/// Adds to `WSGITrustedProxies`.
pub fn trusted_proxies(settings: &mut RequestSettings, line: &Line<'_>) -> Result<(), ArgumentError> {
    let mut proxies = settings.trusted_proxies.take().map(|p| p.to_vec()).unwrap_or_default();
    for word in all(line.arguments) {
        let subnet = Subnet::parse(&word)
            .ok_or_else(|| ArgumentError::value("the proxy", &word, "an IP address, or one with /mask or /bits"))?;
        proxies.push(subnet);
    }
    settings.trusted_proxies = Some(proxies.into());
    Ok(())
}

/// Adds to `WSGISendfileRoot`.
pub fn sendfile_root(settings: &mut RequestSettings, line: &Line<'_>) -> Result<(), ArgumentError> {
    let mut rest = line.arguments;
    let mut directory = word(&mut rest).ok_or(ArgumentError::Arguments("a directory, then options"))?;
    if !directory.starts_with(b"/") {
        return Err(ArgumentError::value("the directory", &directory, "an absolute path"));
    }
    while directory.ends_with(b"/") {
        directory.pop();
    }
    let mut root = Root { directory, url: None };
    while let Some(value) = option(&mut rest, &["url"])? {
        root.url = Some(value.absolute()?);
    }
    let mut roots = settings.sendfile_roots.take().map(|r| r.to_vec()).unwrap_or_default();
    roots.push(root);
    settings.sendfile_roots = Some(roots.into());
    Ok(())
}

/// Sets `WSGIHandlerScript handler script [options]`.
pub fn handler_script(settings: &mut RequestSettings, line: &Line<'_>) -> Result<(), ArgumentError> {
    let mut rest = line.arguments;
    let (Some(name), Some(script)) = (word(&mut rest), words::script(&mut rest)) else {
        return Err(ArgumentError::Arguments("the name of a handler and its script, then options"));
    };
    let mut handler = HandlerScript { script, ..Default::default() };
    while let Some(value) = option(&mut rest, &["process-group", "application-group", "pass-authorization"])? {
        match value.option {
            "process-group" => handler.process_group = Some(value.group()?),
            "application-group" => handler.application_group = Some(value.group()?),
            _ => handler.pass_authorization = Some(value.flag()?),
        }
    }
    let mut handlers: BTreeMap<_, _> = settings.handlers.take().map(|h| (*h.0).clone()).unwrap_or_default();
    handlers.insert(name, Arc::new(handler));
    settings.handlers = Some(Handlers(Arc::new(handlers)));
    Ok(())
}

/// A script with optional groups.
fn script(line: &Line<'_>) -> Result<Arc<AskedScript>, ArgumentError> {
    let mut rest = line.arguments;
    let script = words::script(&mut rest).ok_or(ArgumentError::Arguments(SCRIPT))?;
    let mut asked = AskedScript { script, process_group: None, application_group: None };
    while let Some(value) = option(&mut rest, &["application-group", "process-group"])? {
        match value.option {
            "application-group" => asked.application_group = Some(value.group()?),
            // Whoever may write there would run code of his own as the user of any group.
            _ if line.host.is_htaccess() => {
                let text = "process-group is not for .htaccess; put the directive into the configuration of the server";
                return Err(ArgumentError::Conflict(text.to_owned()));
            }
            _ => asked.process_group = Some(value.group()?),
        }
    }
    Ok(Arc::new(asked))
}

/// The setter of `WSGIDispatchScript`.
pub fn dispatch_script(settings: &mut RequestSettings, line: &Line<'_>) -> Result<(), ArgumentError> {
    settings.dispatch_script = Some(script(line)?);
    Ok(())
}

/// The setter of `WSGIAccessScript`.
pub fn access_script(settings: &mut RequestSettings, line: &Line<'_>) -> Result<(), ArgumentError> {
    settings.access_script = Some(script(line)?);
    Ok(())
}

/// The setter of `WSGIAuthUserScript`.
pub fn auth_user_script(settings: &mut RequestSettings, line: &Line<'_>) -> Result<(), ArgumentError> {
    settings.auth_user_script = Some(script(line)?);
    Ok(())
}

/// The setter of `WSGIAuthGroupScript`.
pub fn auth_group_script(settings: &mut RequestSettings, line: &Line<'_>) -> Result<(), ArgumentError> {
    settings.auth_group_script = Some(script(line)?);
    Ok(())
}

/// Checks `WSGIGroupAuthoritative`, which the peer reads and never uses.
pub fn group_authoritative(_settings: &mut RequestSettings, line: &Line<'_>) -> Result<(), ArgumentError> {
    flag(line.arguments).map(drop)
}
