//! The manual pages and the completions of shells, made from the same table of options as the parser.

use std::fs;
use std::io;

use camino::Utf8Path;
use clap::Command;
use clap_complete::{Shell, generate};
use clap_mangen::Man;

/// The name of the command.
const NAME: &str = "mod_wsgi-express";

/// Writes them below a directory as they are below `/usr/share`.
///
/// # Errors
/// The first write that fails.
pub fn write(command: &Command, directory: &Utf8Path) -> io::Result<()> {
    let mut command = command.clone();
    let mut built = command.clone();
    built.build();
    let put = |path: String, text: &[u8]| -> io::Result<()> {
        let path = directory.join(path);
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(path, text)
    };
    let page = |command: &Command, name: &str| -> io::Result<()> {
        let mut text = Vec::new();
        Man::new(command.clone()).render(&mut text)?;
        put(format!("man/man1/{name}.1"), &text)
    };
    page(&built, NAME)?;
    for sub in built.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        page(sub, &format!("{NAME}-{}", sub.get_name()))?;
    }
    for (shell, path) in [
        (Shell::Bash, "bash-completion/completions/mod_wsgi-express"),
        (Shell::Zsh, "zsh/site-functions/_mod_wsgi-express"),
        (Shell::Fish, "fish/vendor_completions.d/mod_wsgi-express.fish"),
    ] {
        let mut text = Vec::new();
        generate(shell, &mut command, NAME, &mut text);
        // clap_complete takes the hyphen of the name for a step to a subcommand in one of two places.
        let text = String::from_utf8_lossy(&text).replace("mod_wsgi__subcmd__express", "mod_wsgi__express");
        put(path.to_owned(), text.as_bytes())?;
    }
    Ok(())
}
