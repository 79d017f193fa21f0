//! The content at each URL: files, aliases, error pages and the application.

use camino::Utf8PathBuf;

use crate::block::Block;

/// The content types that `--compress-responses` compresses.
const TEXT_TYPES: [&str; 8] = [
    "text/plain",
    "text/html",
    "text/xml",
    "text/css",
    "text/javascript",
    "application/xhtml+xml",
    "application/javascript",
    "application/json",
];

/// File names with a hash of the content, such as `app.55e7cbb9ba48.css`: Django's has 12 digits, webpack's 20.
const HASHED: &str = r"\.[0-9a-f]{12,64}(\.[^./]+)?$";
/// How long clients keep such files: their content never changes.
const FOR_A_YEAR: &str = "max-age=31536000, public, immutable";
/// What browsers may do with uploads: show them, but neither run scripts in them nor send forms from them.
const INERT: &str = "script-src 'none'; object-src 'none'; base-uri 'none'; form-action 'none'";

/// The owner of the files at a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Files {
    /// The files of `--url-alias`, whoever they are of.
    Any,
    /// The application's own files: `--static-files`.
    Static,
    /// Files of strangers: `--media-files`.
    Uploads,
}

impl Files {
    /// The option that names such files.
    pub fn option(self) -> &'static str {
        match self {
            Self::Any => "--url-alias",
            Self::Static => "--static-files",
            Self::Uploads => "--media-files",
        }
    }
}

/// A directory or file at a URL of its own.
#[derive(Clone, Debug)]
pub struct Alias {
    /// The URL path, without a slash at its end (`/` for the whole site).
    pub url: String,
    /// The directory or file that is served there.
    pub target: Utf8PathBuf,
    /// Whether the target is one file.
    pub file: bool,
    /// The owner of the files.
    pub files: Files,
}

/// The place of the application among the URLs.
#[derive(Clone, Debug)]
pub struct Application {
    /// `--mount-point` without a slash at its end: empty for the whole site.
    pub mount_point: String,
    /// The URLs that Apache itself answers, with all below them.
    pub reserved: &'static [&'static str],
}

/// All content that is served.
#[derive(Clone, Debug)]
pub struct Content {
    /// `--document-root`: its files come before the application.
    pub document_root: Utf8PathBuf,
    /// The application; `None` for a static site.
    pub application: Option<Application>,
    /// The value of `--directory-index`.
    pub directory_index: Option<String>,
    /// The value of `--directory-listing`.
    pub directory_listing: bool,
    /// The value of `--allow-override`.
    pub allow_override: Vec<String>,
    /// `--rewrite-rules`: rules that see requests before the application.
    pub rewrite_rules: Utf8PathBuf,
    /// The aliases of `--url-alias`, `--static-files` and `--media-files`.
    pub aliases: Vec<Alias>,
    /// `--error-document`: status and URL.
    pub error_documents: Vec<(String, String)>,
    /// Extensions of `--add-handler`.
    pub resource_extensions: Vec<String>,
    /// `--with-cgi`, with the module that runs CGI programs under the MPM chosen.
    pub cgi: Option<&'static str>,
    /// The value of `--mime-types`.
    pub mime_types: Utf8PathBuf,
    /// The value of `--compress-responses`.
    pub compress: bool,
    /// The value of `--enable-sendfile`.
    pub sendfile: bool,
}

impl Content {
    pub(crate) fn modules(&self, need: &mut Vec<&'static str>) {
        need.extend(["mime", "rewrite", "alias", "dir"]);
        need.extend(self.cgi);
        if self.directory_listing {
            need.push("autoindex");
        }
        if self.compress {
            need.extend(["filter", "deflate"]);
        }
    }

    pub(crate) fn write(&self, out: &mut Block) {
        out.comment("Nothing is served but what is named below, and never Apache's own .ht files.");
        out.section("Directory", "/", |d| {
            d.set("AllowOverride", "None");
            d.directive("Require").args(["all", "denied"]);
        });
        out.section("FilesMatch", r"^\.ht", |d| {
            d.directive("Require").args(["all", "denied"]);
        });
        out.comment("--mime-types");
        out.set("TypesConfig", &self.mime_types);
        if self.sendfile {
            out.comment("--enable-sendfile");
            out.set("EnableSendfile", "On");
        }
        if self.compress {
            out.comment("--compress-responses");
            out.directive("AddOutputFilterByType").arg("DEFLATE").args(TEXT_TYPES);
        }
        self.write_document_root(out);
        self.write_aliases(out);
        if !self.error_documents.is_empty() {
            out.comment("--error-document");
            for (status, url) in &self.error_documents {
                out.directive("ErrorDocument").arg(status).arg(url);
            }
        }
    }

    fn write_document_root(&self, out: &mut Block) {
        out.comment("--document-root: a file in it comes before the application");
        out.set("DocumentRoot", &self.document_root);
        out.section("Directory", &self.document_root, |d| {
            self.write_permissions(d);
            let options: Vec<_> = [(self.directory_listing, "+Indexes"), (self.cgi.is_some(), "+ExecCGI")]
                .into_iter()
                .filter_map(|(on, option)| on.then_some(option))
                .collect();
            if !options.is_empty() {
                d.comment("--directory-listing, --with-cgi");
                d.directive("Options").args(options);
            }
            if self.cgi.is_some() {
                d.directive("AddHandler").args(["cgi-script", ".cgi"]);
            }
            if let Some(index) = &self.directory_index {
                d.comment("--directory-index");
                d.set("DirectoryIndex", index);
            } else if self.application.as_ref().is_some_and(|a| a.mount_point.is_empty()) {
                d.comment("Without --directory-index directories belong to the application.");
                d.set("DirectoryIndex", "disabled");
                d.set("DirectoryCheckHandler", "On");
            }
            if !self.resource_extensions.is_empty() {
                d.comment("--add-handler");
                d.directive("AddHandler").arg("wsgi-resource").args(&self.resource_extensions);
            }
            d.comment("--rewrite-rules");
            d.set("RewriteEngine", "On");
            d.set("RewriteOptions", "InheritDownBefore");
            d.set("Include", &self.rewrite_rules);
            if let Some(application) = &self.application {
                self.write_application(application, d);
            }
        });
    }

    fn write_application(&self, application: &Application, d: &mut Block) {
        d.comment("Everything else is for the application (--mount-point).");
        d.directive("RewriteCond").arg("%{REQUEST_FILENAME}").arg("!-f");
        if self.directory_index.is_some() || self.directory_listing {
            d.directive("RewriteCond").arg("%{REQUEST_FILENAME}").arg("!-d");
        }
        for url in application.reserved {
            d.directive("RewriteCond").arg("%{REQUEST_URI}").arg(format!("!^{url}(/|$)"));
        }
        // In a directory the pattern sees what follows the document root's slash.
        let pattern = match application.mount_point.strip_prefix('/') {
            None => "^".to_owned(),
            Some(mount) => format!("^{}(/|$)", regular_expression(mount)),
        };
        d.directive("RewriteRule").pattern(pattern).arg("-").arg("[H=wsgi-handler]");
    }

    fn write_aliases(&self, out: &mut Block) {
        if self.aliases.is_empty() {
            return;
        }
        out.comment("--url-alias, --static-files, --media-files: the longest URL first");
        let mut aliases: Vec<_> = self.aliases.iter().collect();
        aliases.sort_by(|a, b| b.url.cmp(&a.url));
        for Alias { url, target, file, files } in aliases {
            // Alias replaces the prefix as it stands: a slash at the end of one calls for a slash at the other.
            let slash = if url == "/" && !file && !target.as_str().ends_with('/') { "/" } else { "" };
            out.directive("Alias").arg(url).arg(format!("{target}{slash}"));
            match (file, target.parent(), target.file_name()) {
                (true, Some(directory), Some(name)) => out.section("Directory", directory, |d| {
                    d.section("Files", name, |f| {
                        f.directive("Require").args(["all", "granted"]);
                    });
                }),
                _ => out.section("Directory", target, |d| self.write_directory(*files, d)),
            }
        }
    }

    fn write_directory(&self, files: Files, d: &mut Block) {
        match files {
            Files::Any => self.write_permissions(d),
            Files::Static => {
                self.write_permissions(d);
                d.section("FilesMatch", HASHED, |f| {
                    f.directive("Header").args(["set", "Cache-Control"]).arg(FOR_A_YEAR);
                });
            }
            Files::Uploads => {
                d.set("AllowOverride", "None");
                d.set("Options", "None");
                d.set("SetHandler", "default-handler");
                d.directive("Header").args(["set", "X-Content-Type-Options", "nosniff"]);
                d.directive("Header").args(["set", "Content-Security-Policy"]).arg(INERT);
                d.directive("Require").args(["all", "granted"]);
            }
        }
    }

    fn write_permissions(&self, d: &mut Block) {
        d.directive("AllowOverride").args(&self.allow_override);
        d.directive("Require").args(["all", "granted"]);
    }
}

/// A regular expression that matches just this text.
pub(crate) fn regular_expression(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_punctuation() && !"/_-".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_as_regular_expression() {
        assert_eq!(regular_expression("api/v1.0+x"), r"api/v1\.0\+x");
    }
}
