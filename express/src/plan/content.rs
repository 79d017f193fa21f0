//! Files and the application's place among them.

use httpd_conf::{Alias, Application, Content, Files, Mpm, STATUS_PAGES};

use super::apache::Installation;
use super::context::Context;
use super::entry::Entry;
use super::error::PlanError;
use crate::options::{ApplicationType, Options, pairs};

/// Decides what is served at which URL.
pub fn content(context: &Context, entry: &Entry, installation: &Installation, mpm: Mpm) -> Result<Content, PlanError> {
    let Context { options, here, root, .. } = context;
    let chosen = &options.content;
    let is_static = entry.kind == ApplicationType::Static;
    let document_root = match &chosen.document_root {
        _ if is_static => here.existing("--application-type static", &entry.point)?,
        Some(directory) => here.existing("--document-root", directory)?,
        None => root.join("htdocs"),
    };
    let cgi = if mpm == Mpm::Prefork { "cgi" } else { "cgid" };
    let reserved: &[_] = if options.monitoring.server_status { &STATUS_PAGES } else { &[] };
    Ok(Content {
        document_root,
        application: (!is_static).then(|| Application { mount_point: mount_point(options), reserved }),
        directory_index: chosen.directory_index.clone(),
        directory_listing: chosen.directory_listing,
        allow_override: match chosen.allow_override.as_slice() {
            [] => vec!["None".to_owned()],
            kinds => kinds.to_vec(),
        },
        rewrite_rules: match &chosen.rewrite_rules {
            Some(file) => here.existing("--rewrite-rules", file)?,
            None => root.join("rewrite.conf"),
        },
        aliases: aliases(context),
        error_documents: pairs(&chosen.error_document).map(|(s, u)| (s.to_owned(), u.to_owned())).collect(),
        resource_extensions: pairs(&options.application.add_handler)
            .map(|(extension, _)| extension.to_owned())
            .collect(),
        cgi: options.application.with_cgi.then_some(cgi),
        mime_types: match &chosen.mime_types {
            Some(file) => here.existing("--mime-types", file)?,
            None => installation.mime_types()?,
        },
        compress: options.transfer.compress_responses,
        sendfile: options.transfer.enable_sendfile,
    })
}

/// The mount point with a slash before it and none behind; empty for the whole site.
pub fn mount_point(options: &Options) -> String {
    let parts: Vec<_> = options.application.mount_point.split('/').filter(|p| !p.is_empty() && *p != ".").collect();
    parts.iter().map(|part| format!("/{part}")).collect()
}

/// The first of those at the same URL counts.
fn aliases(context: &Context) -> Vec<Alias> {
    let content = &context.options.content;
    let given = [
        (Files::Any, &content.url_alias),
        (Files::Static, &content.static_files),
        (Files::Uploads, &content.media_files),
    ];
    let mount = mount_point(context.options);
    let alias = |files, url: &str, target: &str| {
        let place = if url.starts_with('/') { url.to_owned() } else { format!("{mount}/{url}") };
        let bare = place.trim_end_matches('/');
        let target = context.here.absolute(target);
        Alias {
            url: if bare.is_empty() { "/".to_owned() } else { bare.to_owned() },
            file: files == Files::Any && target.is_file(),
            target,
            files,
        }
    };
    given.into_iter().flat_map(|(files, given)| pairs(given).map(move |(url, to)| alias(files, url, to))).collect()
}
