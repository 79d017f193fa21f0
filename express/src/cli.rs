//! The command line: commands, and what is said when it is not understood.

use std::ffi::OsString;

use camino::Utf8PathBuf;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::help::explained;
use crate::options::{CheckOptions, FACTORY, Options, RestartOptions, StatusOptions};
use crate::{expand, layers};

/// The command by which this program starts itself beside a terminal.
pub const DEPENDENT: &str = "run-dependent";

/// The command by which this program starts the judge of an application.
pub const JUDGE: &str = "judge";

/// Options that were there once, and what to do without them.
const REMOVED: [(&str, &str); 8] = [
    ("--isatty", "the terminal is recognised by itself now"),
    ("--with-newrelic", "New Relic is no longer supported; wrap the application with its agent"),
    ("--newrelic-config-file", "New Relic is no longer supported; wrap the application with its agent"),
    ("--newrelic-environment", "New Relic is no longer supported; wrap the application with its agent"),
    ("--profiler-output-file", "it became --profiler-directory"),
    ("--socket-path", "it is --socket-prefix"),
    ("--with-php5", "PHP is not supported; add it with --include-file"),
    ("--enable-docs", "the documentation is no longer part of the server"),
];

/// Runs a Python WSGI application, or a directory of files, in an Apache of its own.
#[derive(Debug, Parser)]
#[command(
    name = "mod_wsgi-express",
    bin_name = "mod_wsgi-express",
    version,
    infer_long_args = true,
    args_override_self = true
)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub enum Command {
    /// Run an application until it is stopped
    StartServer(Box<Options>),
    /// Prepare a server root with a control script, and start nothing
    SetupServer(Box<Options>),
    /// Tell what would keep an application, or the configuration of an Apache of your own, from running well
    Check(Box<CheckOptions>),
    /// Print the lines that load the module in an Apache of your own
    ModuleConfig,
    /// Print the path of the module
    ModuleLocation,
    /// Copy the module into Apache's modules directory
    InstallModule(InstallModule),
    /// Replace the processes of a running server, one after the other, without failing a request
    #[command(visible_alias = "reload")]
    Restart(RestartOptions),
    /// Tell how the processes of a running server are
    Status(StatusOptions),
    /// Write manual pages and completions of shells below a directory, as they are below /usr/share
    #[command(hide = true)]
    WriteDocuments {
        /// The directory.
        directory: Utf8PathBuf,
    },
    /// Become Apache, and end with the command on the terminal
    #[command(name = DEPENDENT, hide = true)]
    Dependent {
        /// The control script.
        control: Utf8PathBuf,
        /// Process id of the command.
        command: i32,
        /// Whether its standard input is a socket to the judge of the application.
        #[arg(long)]
        awaits_verdict: bool,
    },
    /// Judge an application: what to try comes on standard input
    #[command(name = JUDGE, hide = true)]
    Judge,
}

/// Options of `install-module`.
#[derive(Args, Debug)]
pub struct InstallModule {
    /// Where to [default: Apache's modules directory]
    #[arg(long, value_name = "DIRECTORY")]
    pub modules_directory: Option<Utf8PathBuf>,
}

/// What a command line asks for.
#[derive(Debug)]
pub enum Parsed {
    /// A command.
    Run(Box<Cli>),
    /// The options of one, for `--show-config`.
    Show(String),
}

/// Reads the arguments, `$NAME` in them replaced, and what [`layers`] have to say.
///
/// # Errors
/// clap's, which is also how `--help` and `--version` end; to be printed by [`explain`].
pub fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    variables: impl Iterator<Item = (String, String)>,
) -> Result<Parsed, clap::Error> {
    let expanded = arguments.into_iter().map(|argument| match argument.to_str() {
        Some(text) => renamed(expand::variables(text, |name| std::env::var(name).ok())).into(),
        None => argument,
    });
    let mut words: Vec<OsString> = expanded.collect();
    let mut parser = command();
    let matches = parser.try_get_matches_from_mut(&words)?;
    if let Some((_, own)) = matches.subcommand().filter(|(name, _)| RUNNING.contains(name)) {
        let server = parser.find_subcommand(SERVERS[0]).cloned().unwrap_or_default();
        let more = layers::running(&server, own, variables).into_iter().map(OsString::from);
        words.splice(2..2, more.collect::<Vec<_>>());
        let matches = parser.try_get_matches_from_mut(&words)?;
        return Cli::from_arg_matches(&matches).map(|cli| Parsed::Run(Box::new(cli)));
    }
    let Some((name, own)) = matches.subcommand().filter(|(name, _)| SERVERS.contains(name)) else {
        return Cli::from_arg_matches(&matches).map(|cli| Parsed::Run(Box::new(cli)));
    };
    let sub = parser.find_subcommand(name).cloned().unwrap_or_default();
    let refused = |text: String| command().error(ErrorKind::InvalidValue, text);
    let passed = if name == SERVERS[0] { passed_places() } else { Vec::new() };
    let layer = layers::below(&sub, own, variables, &passed).map_err(|error| refused(error.to_string()))?;
    for given in layer.values() {
        let line = words.iter().take(2).cloned().chain(given.words.iter().map(OsString::from));
        // What is missing or too much beside it shows when all is together.
        if let Err(error) = command().try_get_matches_from(line) {
            let said = error.to_string();
            let said = said.lines().next().unwrap_or_default();
            return Err(refused(format!("{}: {}", given.origin, said.trim_start_matches("error: "))));
        }
    }
    let more = layer.values().flat_map(|given| &given.words).map(OsString::from);
    words.splice(2..2, more.collect::<Vec<_>>());
    let matches = parser.try_get_matches_from_mut(&words)?;
    match matches.subcommand() {
        Some((_, own)) if own.get_flag("show_config") => Ok(Parsed::Show(layers::shown(&sub, own, &layer))),
        _ => Cli::from_arg_matches(&matches).map(|cli| Parsed::Run(Box::new(cli))),
    }
}

/// Where the sockets listen that systemd passes to this process, as `--bind` takes them.
#[cfg(unix)]
fn passed_places() -> Vec<String> {
    crate::sockets::passed_places().into_iter().map(|place| place.to_string()).collect()
}

#[cfg(not(unix))]
fn passed_places() -> Vec<String> {
    Vec::new()
}

/// The commands that have the options of a server.
const SERVERS: [&str; 3] = ["start-server", "setup-server", "check"];

/// The commands about a server that runs.
const RUNNING: [&str; 2] = ["restart", "status"];

/// A word that people who come from gunicorn use. As an alias it would make `--work`, short for `--working-directory`,
/// ambiguous.
fn renamed(word: String) -> String {
    match word.strip_prefix("--workers") {
        Some("") => "--processes".to_owned(),
        Some(value) if value.starts_with('=') => format!("--processes{value}"),
        _ => word,
    }
}

/// The parser. Every value may begin with a hyphen, as scripts are used to, and the help has a line for each option.
pub fn command() -> clap::Command {
    Cli::command().mut_subcommands(|sub| {
        explained(sub).mut_args(|arg| {
            let takes_value = arg.get_long().is_some() && arg.get_action().takes_values();
            // One that may have a value takes no other option for it.
            let is_optional = arg.is_require_equals_set();
            arg.allow_hyphen_values(takes_value && !is_optional)
        })
    })
}

/// Prints what clap has to say, and what we know beyond that; the exit code.
pub fn explain(error: &clap::Error) -> i32 {
    if let Some((name, advice)) = removed(error) {
        eprintln!("error: the option {name} is gone: {advice}");
        return error.exit_code();
    }
    // Nothing can be done about a closed terminal.
    let _ = error.print();
    if let Some(hint) = hint(error) {
        eprintln!("\nhint: {hint}");
    }
    error.exit_code()
}

/// The option that clap does not know.
fn unknown(error: &clap::Error) -> Option<&str> {
    match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(text)) if error.kind() == ErrorKind::UnknownArgument => text.split('=').next(),
        _ => None,
    }
}

/// The option of former times that was given, and the advice for it.
fn removed(error: &clap::Error) -> Option<(&'static str, &'static str)> {
    let given = unknown(error)?;
    REMOVED.into_iter().find(|(name, _)| *name == given)
}

/// What may have been meant.
fn hint(error: &clap::Error) -> Option<String> {
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let names: Vec<_> =
                command().get_subcommands().filter(|c| !c.is_hide_set()).map(|c| c.get_name().to_owned()).collect();
            Some(format!("the commands are {}", names.join(", ")))
        }
        ErrorKind::UnknownArgument => {
            let given = unknown(error)?;
            if given == "--factory" {
                return Some(FACTORY.to_owned());
            }
            let longer = longer_options(given);
            (longer.len() > 1).then(|| format!("{given} could be {}", longer.join(", ")))
        }
        _ => None,
    }
}

/// The options that begin with what was given.
fn longer_options(given: &str) -> Vec<String> {
    let Some(prefix) = given.strip_prefix("--").filter(|p| !p.is_empty()) else { return Vec::new() };
    let longs = |sub: &clap::Command| -> Vec<String> {
        sub.get_arguments().filter(|a| !a.is_hide_set()).filter_map(|a| a.get_long().map(str::to_owned)).collect()
    };
    let mut found: Vec<_> = command().get_subcommands().flat_map(longs).filter(|l| l.starts_with(prefix)).collect();
    found.sort();
    found.dedup();
    found.into_iter().map(|long| format!("--{long}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_that_runs_is_found_by_the_variables_that_it_was_started_with() {
        let meant = |line: &str, name: &str, value: &str| {
            let words = ["mod_wsgi-express"].into_iter().chain(line.split_whitespace()).map(OsString::from);
            let variable = (format!("MOD_WSGI_EXPRESS_{name}"), value.to_owned());
            match parse(words, std::iter::once(variable)).unwrap() {
                Parsed::Run(cli) => match cli.command {
                    Command::Status(options) => (options.running.host, options.running.port),
                    Command::Restart(options) => (options.running.host, options.running.port),
                    other => panic!("{other:?}"),
                },
                Parsed::Show(text) => panic!("{text}"),
            }
        };
        assert_eq!(meant("status", "PORT", "81"), ("localhost".to_owned(), 81));
        assert_eq!(meant("reload", "BIND", "127.0.0.1:82"), ("127.0.0.1".to_owned(), 82));
        assert_eq!(meant("status", "BIND", "unix:/run/s :84"), ("localhost".to_owned(), 84));
        assert_eq!(meant("status", "BIND", "unix:/run/s"), ("unix--run-s".to_owned(), 80));
        assert_eq!(meant("status --port 83", "HOST", "127.0.0.1"), ("localhost".to_owned(), 83));
    }

    fn options(line: &str) -> Options {
        let words = ["mod_wsgi-express", "start-server"].into_iter().chain(line.split_whitespace()).map(OsString::from);
        match parse(words, std::iter::empty()).unwrap() {
            Parsed::Run(cli) => match cli.command {
                Command::StartServer(options) => *options,
                other => panic!("{other:?}"),
            },
            Parsed::Show(text) => panic!("{text}"),
        }
    }

    fn refused(line: &str) -> String {
        let words = ["mod_wsgi-express", "start-server"].into_iter().chain(line.split_whitespace()).map(OsString::from);
        let error = parse(words, std::iter::empty()).unwrap_err();
        format!("{error}{}", hint(&error).unwrap_or_default())
    }

    #[test]
    fn the_parser_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn options_in_any_form_and_place() {
        assert_eq!(options("--port 1 a.wsgi --port=2").address.port, 2);
        assert_eq!(options("a.wsgi --thr 3").capacity.threads, 3);
        assert_eq!(options("--url-alias /a b --url-alias /c d x").content.url_alias, ["/a", "b", "/c", "d"]);
        assert_eq!(options("--setenv A -b x").identity.setenv, ["A", "-b"]);
        assert_eq!(options("--port 010").address.port, 10);
        assert_eq!(options("-- -odd.wsgi").application.entry.as_deref(), Some("-odd.wsgi"));
    }

    #[test]
    fn options_of_former_times_are_known() {
        let words = ["mod_wsgi-express", "start-server", "--isatty"].map(OsString::from);
        assert_eq!(removed(&parse(words, std::iter::empty()).unwrap_err()).map(|(name, _)| name), Some("--isatty"));
    }

    #[test]
    fn mistakes_name_the_option() {
        for (line, named) in [
            ("--no-such-option", "--no-such-option"),
            ("--port eighty", "--port"),
            ("--port 99999", "--port"),
            ("--processes -1", "--processes"),
            ("--threads", "--threads"),
            ("--url-alias /static", "--url-alias"),
            ("--initial-workers 2", "--initial-workers"),
            ("--application-type perl", "--application-type"),
            ("a.wsgi b.wsgi", "b.wsgi"),
        ] {
            let text = refused(line);
            assert!(text.contains(named), "{text}");
        }
        let ambiguous = refused("--process 2");
        assert!(ambiguous.contains("--process-group") && ambiguous.contains("--processes"), "{ambiguous}");
    }
}
