//! The manual pages and the completions of shells, made from the same table of options as the parser.

use std::fs;
use std::io::{self, Write};

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
    let mut command = shown(command);
    let mut built = command.clone();
    built.build();
    let put = |path: String, text: &[u8]| -> io::Result<()> {
        let path = directory.join(path);
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(path, text)
    };
    let page = |command: &Command, name: &str| -> io::Result<()> {
        let mut text = Vec::new();
        manual(command, &mut text)?;
        put(format!("man/man1/{name}.1"), &text)
    };
    page(&built, NAME)?;
    for sub in built.get_subcommands() {
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

/// The command with what is for people, each option with its help.
fn shown(command: &Command) -> Command {
    let own = command.get_subcommands().filter(|sub| !sub.is_hide_set());
    let own = own.map(|sub| sub.clone().mut_args(|arg| arg.hide_short_help(false)));
    let about = command.get_about().cloned().unwrap_or_default();
    let shown = Command::new(NAME).bin_name(NAME).about(about).version(env!("CARGO_PKG_VERSION"));
    shown.disable_help_subcommand(true).subcommands(own)
}

/// Writes a manual page. Its synopsis lists no options: they are too many.
fn manual(command: &Command, out: &mut Vec<u8>) -> io::Result<()> {
    let man = Man::new(command.clone());
    man.render_title(out)?;
    man.render_name_section(out)?;
    let name = command.get_bin_name().unwrap_or(NAME);
    let words = command.get_positionals().filter_map(|arg| arg.get_value_names()?.first());
    let mut words: Vec<String> = words.map(|word| format!("[{word}]")).collect();
    if command.has_subcommands() {
        words.push("COMMAND".to_owned());
    }
    words.push("[OPTION ...]".to_owned());
    writeln!(out, ".SH SYNOPSIS\n\\fB{}\\fR {}", name.replace('-', "\\-"), words.join(" "))?;
    man.render_description_section(out)?;
    man.render_options_section(out)?;
    if command.has_subcommands() {
        man.render_subcommands_section(out)?;
    }
    if command.get_after_help().is_some() {
        man.render_extra_section(out)?;
    }
    // Sub-commands have that of the command.
    command.get_version().map_or(Ok(()), |_| man.render_version_section(out))
}
