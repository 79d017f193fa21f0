//! The page of the documentation that is made from the parser: every command with every option.

use std::fmt::Write;

use clap::{Arg, Command};

const HEAD: &str = "# Options of the command

Every command of `mod_wsgi-express` with every option; [the command](command.md) explains what they are for. An option may also stand in a variable, in a file, or in
the project: [there](command.md#options-from-elsewhere). This page is made of the parser: `UPDATE_OPTIONS=1 cargo test -p mod_wsgi-express reference`.
";

/// The command whose options other commands share.
const FIRST: &str = "start-server";

fn commands() -> Vec<Command> {
    let mut all = crate::cli::command();
    all.build();
    all.get_subcommands().filter(|command| !command.is_hide_set()).cloned().collect()
}

/// Escapes a text for a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ").replace('<', "\\<")
}

/// The form in which an argument is written.
fn form(arg: &Arg) -> String {
    let values = arg.get_value_names().unwrap_or_default().join(" ");
    let takes = arg.get_action().takes_values();
    let flags = arg.get_short().map(|short| format!("-{short}")).into_iter();
    let mut all = flags.chain(arg.get_long_and_visible_aliases().into_iter().flatten().map(|long| format!("--{long}")));
    if arg.is_positional() {
        return format!("`[{values}]`");
    }
    let names: Vec<String> = all.by_ref().collect();
    let value = if takes { format!(" {values}") } else { String::new() };
    let last = names.len().saturating_sub(1);
    let written = names.iter().enumerate().map(|(i, name)| format!("`{name}{}`", if i == last { &value } else { "" }));
    written.collect::<Vec<_>>().join(", ")
}

fn row(arg: &Arg) -> String {
    let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
    // What only a look at the machine can tell stands in the help.
    let (help, told) = help.split_once(" [default: ").unwrap_or((&help, ""));
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    let choices: Vec<String> = arg
        .get_possible_values()
        .iter()
        .filter(|value| arg.get_action().takes_values() && !value.is_hide_set())
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    let choices = if choices.is_empty() { String::new() } else { format!(": {}", choices.join(", ")) };
    let default = if defaults.is_empty() || !arg.get_action().takes_values() {
        cell(told.trim_end_matches(']'))
    } else {
        format!("`{}`", defaults.join(" "))
    };
    format!("| {} | {default} | {}{choices} |\n", form(arg).replace('|', "\\|"), cell(help))
}

fn is_of_help(arg: &Arg) -> bool {
    arg.get_id().as_str().starts_with("help") || arg.get_id() == "version"
}

fn section(command: &Command, known: &[String]) -> String {
    let mut text = format!("\n## {}\n\n", command.get_name());
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let aliases: Vec<_> = command.get_visible_aliases().map(|alias| format!("`{alias}`")).collect();
    let also = if aliases.is_empty() { String::new() } else { format!(" Also {}.", aliases.join(", ")) };
    let _ = writeln!(text, "{about}.{also}");
    let all: Vec<&Arg> = command.get_arguments().filter(|arg| !arg.is_hide_set() && !is_of_help(arg)).collect();
    let forms: Vec<String> = all.iter().map(|arg| form(arg)).collect();
    let has_all = !known.is_empty() && known.iter().all(|form| forms.contains(form));
    let own: Vec<&&Arg> = all.iter().filter(|arg| !has_all || !known.contains(&form(arg))).collect();
    if has_all {
        let what = if own.is_empty() { "." } else { ", and:" };
        let _ = writeln!(text, "\nThe options of [{FIRST}](#{FIRST}){what}");
    }
    let mut headings: Vec<Option<&str>> = Vec::new();
    for arg in &own {
        if !headings.contains(&arg.get_help_heading()) {
            headings.push(arg.get_help_heading());
        }
    }
    for heading in headings {
        if let (Some(heading), true) = (heading, command.get_name() == FIRST) {
            let _ = writeln!(text, "\n### {heading}");
        }
        text += "\n| option | default | |\n|---|---|---|\n";
        text.extend(own.iter().filter(|arg| arg.get_help_heading() == heading).map(|arg| row(arg)));
    }
    text
}

fn page() -> String {
    let all = commands();
    let first = all.iter().find(|command| command.get_name() == FIRST).unwrap();
    let known: Vec<String> =
        first.get_arguments().filter(|arg| !arg.is_hide_set() && !is_of_help(arg)).map(form).collect();
    let sections = all.iter().map(|command| section(command, if command.get_name() == FIRST { &[] } else { &known }));
    HEAD.to_owned() + &sections.collect::<String>()
}

#[test]
fn the_page_of_the_documentation_is_that_of_the_parser() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/options.md");
    if std::env::var_os("UPDATE_OPTIONS").is_some() {
        std::fs::write(path, page()).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(written == page(), "docs/options.md is stale: UPDATE_OPTIONS=1 cargo test -p mod_wsgi-express reference");
}
