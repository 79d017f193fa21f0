//! Static files, error pages, access and extra configuration.

use camino::Utf8PathBuf;
use clap::{Args, ValueEnum};

/// Authentication schemes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
pub enum AuthType {
    /// The password itself.
    #[default]
    #[value(alias = "basic")]
    Basic,
    /// A digest of it.
    #[value(alias = "digest")]
    Digest,
}

/// Options of files and pages.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Files")]
pub struct Content {
    /// Serve a directory or a file at a URL; may be repeated
    #[arg(long, value_names = ["URL", "TARGET"], num_args = 2)]
    pub url_alias: Vec<String>,
    /// Serve a directory of static files; may be repeated. A URL without a slash before it is below --mount-point.
    /// Clients keep files with a hash in their names (app.55e7cbb9ba48.css) for a year
    #[arg(long, value_names = ["URL", "DIRECTORY"], num_args = 2)]
    pub static_files: Vec<String>,
    /// Serve a directory of uploads, of which nothing is run, here or in a browser; may be repeated. The URL is as with
    /// --static-files
    #[arg(long, value_names = ["URL", "DIRECTORY"], num_args = 2)]
    pub media_files: Vec<String>,
    /// Directory of files that come before the application [default: htdocs in the server root]
    #[arg(long, value_name = "DIRECTORY")]
    pub document_root: Option<Utf8PathBuf>,
    /// File that answers for a directory
    #[arg(long, value_name = "FILE")]
    pub directory_index: Option<String>,
    /// List directories
    #[arg(long)]
    pub directory_listing: bool,
    /// Directives that .htaccess files may contain; may be repeated [default: None]
    #[arg(long, value_name = "KIND")]
    pub allow_override: Vec<String>,
    /// Page for an error that the server makes; may be repeated
    #[arg(long, value_names = ["STATUS", "URL"], num_args = 2)]
    pub error_document: Vec<String>,
    /// Use those pages for the application's errors too
    #[arg(long)]
    pub error_override: bool,
    /// File of rewrite rules that see requests first [default: rewrite.conf in the server root]
    #[arg(long, value_name = "FILE")]
    pub rewrite_rules: Option<Utf8PathBuf>,
    /// File of Apache configuration to add; may be repeated
    #[arg(long, value_name = "FILE")]
    pub include_file: Vec<Utf8PathBuf>,
    /// Table of content types by extension
    #[arg(long, value_name = "FILE")]
    pub mime_types: Option<Utf8PathBuf>,
}

/// Options of access control.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Access")]
pub struct Access {
    /// Script that decides which clients may come in
    #[arg(long, value_name = "SCRIPT")]
    pub host_access_script: Option<Utf8PathBuf>,
    /// Script that checks users and passwords
    #[arg(long, value_name = "SCRIPT")]
    pub auth_user_script: Option<Utf8PathBuf>,
    /// How users prove who they are
    #[arg(long, value_name = "TYPE", value_enum, default_value_t)]
    pub auth_type: AuthType,
    /// Script that knows the groups of users
    #[arg(long, value_name = "SCRIPT")]
    pub auth_group_script: Option<Utf8PathBuf>,
    /// Group that may come in
    #[arg(long, value_name = "NAME", default_value = "wsgi")]
    pub auth_group: String,
}
