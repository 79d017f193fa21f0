//! What is written into the server root.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};

use camino::{Utf8Path, Utf8PathBuf};

use crate::handler::WELCOME;
use crate::plan::{Plan, Root};

/// A file to be written.
#[derive(Debug, PartialEq, Eq)]
pub struct File {
    /// Its path.
    pub path: Utf8PathBuf,
    /// Its text.
    pub text: String,
    /// Its permissions.
    pub mode: u32,
    /// Whether one that is already there is left alone: it is the user's.
    pub keep: bool,
}

/// Why the texts cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// A value that no configuration file can hold.
    #[error(transparent)]
    Value(#[from] httpd_conf::Unwritable),
    /// The settings of the application's script.
    #[error("the application's settings cannot be written: {0}")]
    Settings(#[from] serde_json::Error),
}

/// Why the server root cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// It belongs to another user.
    #[error(
        "{path} belongs to another user (number {owner}), who could make the server run anything; name another folder with --server-root"
    )]
    Foreign {
        /// The folder or file.
        path: Utf8PathBuf,
        /// Its owner.
        owner: u32,
    },
    /// Everybody may write to it.
    #[error("everybody may write to {path}; take that away (chmod o-w), or name another folder with --server-root")]
    Open {
        /// The folder.
        path: Utf8PathBuf,
    },
    /// It is no folder.
    #[error("the server root {path} is not a folder; name another with --server-root")]
    NoFolder {
        /// What it is.
        path: Utf8PathBuf,
    },
    /// A file or folder could not be made.
    #[error("cannot write {path}: {source}; choose a folder to write to with --server-root")]
    Io {
        /// The file or folder.
        path: Utf8PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl WriteError {
    fn at(path: &Utf8Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}

/// The texts of the server root. Changes nothing and looks at nothing.
///
/// # Errors
/// [`RenderError`] when a value cannot be written down.
pub fn render(plan: &Plan) -> Result<Vec<File>, RenderError> {
    let root = &plan.root.path;
    let made = |name: &str, text: String| File { path: root.join(name), text, mode: 0o644, keep: false };
    let users = |name: &str, text: &str| File { keep: true, ..made(name, text.to_owned()) };
    let mut files = vec![
        made("httpd.conf", plan.server.render()?),
        File { mode: 0o755, ..made("apachectl", plan.control.script()) },
        made("handler.wsgi", plan.handler.script()?),
        made("default.wsgi", WELCOME.to_owned()),
        users("envvars", "# Shell commands that apachectl runs first: export NAME=value\n"),
        users("rewrite.conf", "# Rewrite rules that see requests before the application: RewriteRule ...\n"),
        // An empty folder might be taken away by a cleaner of temporary files.
        made("htdocs/.htkeep", "Keeps this folder from being taken for an empty one.\n".to_owned()),
    ];
    if let Some(resources) = &plan.resources {
        files.push(made("resource.wsgi", resources.script()?));
    }
    Ok(files)
}

/// Makes the folders and writes the files.
///
/// # Errors
/// [`WriteError`] when the server root is not the caller's own or cannot be written to.
pub fn write(plan: &Plan, files: &[File], caller: u32) -> Result<(), WriteError> {
    make_root(&plan.root, caller)?;
    let htdocs = plan.root.path.join("htdocs");
    for folder in plan.folders.iter().chain([&htdocs]) {
        fs::create_dir_all(folder).map_err(WriteError::at(folder))?;
    }
    if let (Some(eggs), 0) = (&plan.python_eggs, caller) {
        std::os::unix::fs::chown(eggs, Some(plan.account.uid), Some(plan.account.gid)).map_err(WriteError::at(eggs))?;
    }
    if let Some(folder) = plan.sockets.short_folder() {
        make_folder(folder, if caller == 0 { 0o711 } else { 0o700 })?;
        check_owner(folder, caller)?;
    }
    for file in files {
        if file.keep && file.path.exists() {
            check_owner(&file.path, caller)?;
            continue;
        }
        let written = fs::write(&file.path, &file.text)
            .and_then(|()| fs::set_permissions(&file.path, fs::Permissions::from_mode(file.mode)));
        written.map_err(WriteError::at(&file.path))?;
    }
    Ok(())
}

fn make_root(root: &Root, caller: u32) -> Result<(), WriteError> {
    let path = &root.path;
    if let Ok(found) = path.metadata() {
        if !found.is_dir() {
            return Err(WriteError::NoFolder { path: path.clone() });
        }
        // Of a link, both ends.
        check_owner(path, caller)?;
        if found.uid() != caller {
            return Err(WriteError::Foreign { path: path.clone(), owner: found.uid() });
        }
        if found.mode() & 0o002 != 0 {
            return Err(WriteError::Open { path: path.clone() });
        }
        return Ok(());
    }
    // Others must be able to reach the files in a root made by the superuser: Apache's children do not run as root.
    make_folder(path, if root.private { 0o700 } else { 0o755 })
}

/// Makes a folder and those above it.
fn make_folder(path: &Utf8Path, mode: u32) -> Result<(), WriteError> {
    DirBuilder::new().recursive(true).mode(mode).create(path).map_err(WriteError::at(path))
}

fn check_owner(path: &Utf8Path, caller: u32) -> Result<(), WriteError> {
    let owner = path.symlink_metadata().map_err(WriteError::at(path))?.uid();
    if owner == caller { Ok(()) } else { Err(WriteError::Foreign { path: path.to_owned(), owner }) }
}
