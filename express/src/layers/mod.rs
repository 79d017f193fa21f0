//! Options from elsewhere than the command line. An option that is given in several places has the value of the first
//! of these: the command line, a variable `MOD_WSGI_EXPRESS_…`, the file that `-c` names, the table
//! `[tool.mod_wsgi-express]` of `pyproject.toml` in the current directory, the sockets that systemd passes. Lists are
//! not joined.
//!
//! Knows the form of options, and files with them. Must not know what an option means.

mod error;
mod files;

use std::collections::BTreeMap;
use std::path::Path;

use clap::{Arg, ArgAction, ArgMatches, Command, parser::ValueSource};
use toml::{Table, Value};

use crate::options::{HTTP, socket_host};
pub use error::LayerError;
use files::{parse, read, text_of, trusted};

/// The prefix of the variables.
const VARIABLE: &str = "MOD_WSGI_EXPRESS_";
/// The prefix of the variables by which the command passes something to itself.
const OWN_VARIABLE: &str = "MOD_WSGI_EXPRESS_FACTS";
/// What comes before the path of a unix socket.
const UNIX: &str = "unix:";
/// The options that say where to listen: who gives one of the older kind does not mean the newer one.
const PLACES: [&str; 3] = ["bind", "host", "port"];

/// The value of one option: where it comes from, and its words on a command line.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    /// The variable or file.
    pub origin: String,
    /// The words; none for a flag that is off.
    pub words: Vec<String>,
}

/// Options by name.
pub type Layer = BTreeMap<String, Given>;

/// Returns the options that are given elsewhere and not on the command line, whose matches these are. `command`: the
/// command with the options; `passed`: where the sockets listen that systemd passes.
///
/// # Errors
/// [`LayerError`]
pub fn below(
    command: &Command,
    matches: &ArgMatches,
    variables: impl Iterator<Item = (String, String)>,
    passed: &[String],
) -> Result<Layer, LayerError> {
    let own: Vec<_> = options(command)
        .filter(|arg| is_given(matches, arg.get_id().as_str()))
        .filter_map(|arg| arg.get_long().map(str::to_owned))
        .collect();
    let mut result: Layer =
        own.iter().map(|name| (name.clone(), Given { origin: String::new(), words: vec![] })).collect();
    // The entry point is the positional argument, too.
    if is_given(matches, "entry") {
        result.insert("entry-point".to_owned(), Given { origin: String::new(), words: vec![] });
    }
    add(&mut result, environment(command, variables)?);
    if let Ok(Some(path)) = matches.try_get_one::<camino::Utf8PathBuf>("config") {
        let origin = path.to_string();
        let text = read(path.as_std_path()).map_err(|reason| LayerError::File { origin: origin.clone(), reason })?;
        add(&mut result, file(command, &origin, parse(&origin, &text)?)?);
    }
    let project = Path::new("pyproject.toml");
    if let Some(text) = text_of(project) {
        let origin = "pyproject.toml".to_owned();
        // What else is in the file, and whether it is right, is the matter of others.
        if let Some(table) = text.contains("mod_wsgi-express").then(|| parse(&origin, &text)).transpose()? {
            let tool = table.get("tool").and_then(|tool| tool.get("mod_wsgi-express"));
            if let Some(Value::Table(table)) = tool {
                trusted(project).map_err(|reason| LayerError::File { origin: origin.clone(), reason })?;
                add(&mut result, file(command, &origin, table.clone())?);
            }
        }
    }
    let https = matches.try_get_one::<u16>("https_port").ok().flatten().map(u16::to_string);
    let https =
        https.or_else(|| result.get("https-port")?.words.first()?.strip_prefix("--https-port=").map(str::to_owned));
    add(&mut result, sockets(passed, https.as_deref()));
    result.retain(|_, given| !given.origin.is_empty());
    Ok(result)
}

/// The sockets that systemd passes, as `--bind`. Those of the port for HTTPS are for that.
fn sockets(passed: &[String], https: Option<&str>) -> Layer {
    let is_plain = |place: &&String| https.is_none() || place.rsplit_once(':').map(|(_, port)| port) != https;
    let words: Vec<_> = passed.iter().filter(is_plain).map(|place| format!("--bind={place}")).collect();
    let given = Given { origin: "sockets passed by systemd".to_owned(), words };
    (!given.words.is_empty()).then(|| ("bind".to_owned(), given)).into_iter().collect()
}

/// Says whether an option is on the command line.
pub fn is_given(matches: &ArgMatches, id: &str) -> bool {
    let is_known = matches.ids().any(|known| known == id);
    is_known && matches.value_source(id) == Some(ValueSource::CommandLine)
}

/// The options that say which server is meant.
const SERVER: [&str; 4] = ["server-root", "socket", "host", "port"];

/// Returns the words that say which running server is meant, where the command line, whose matches these are, does not.
/// `server`: the command that has started it, from the same directory and with the same variables.
pub fn running(
    server: &Command,
    matches: &ArgMatches,
    variables: impl Iterator<Item = (String, String)>,
) -> Vec<String> {
    if SERVER.iter().any(|name| is_given(matches, &name.replace('-', "_"))) {
        return Vec::new();
    }
    // Whatever is wrong in a file is the matter of the command that starts a server.
    let layer = below(server, matches, variables, &[]).unwrap_or_default();
    let first = |name: &str| layer.get(name).and_then(|given| given.words.first()).cloned();
    let bound = layer.get("bind").and_then(|given| {
        let places = || given.words.iter().filter_map(|word| word.strip_prefix("--bind="));
        let Some(place) = places().find(|place| !place.starts_with(UNIX)) else {
            let socket = places().next()?;
            return Some(vec![format!("--host={}", socket_host(socket)), format!("--port={HTTP}")]);
        };
        let (host, port) = place.rsplit_once(':')?;
        let host = (!host.is_empty()).then(|| format!("--host={host}"));
        Some(host.into_iter().chain([format!("--port={port}")]).collect::<Vec<_>>())
    });
    let named = SERVER.iter().filter_map(|name| first(name));
    named.chain(bound.into_iter().flatten()).collect()
}

fn options(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| arg.get_long().is_some())
}

/// Adds a layer below the layers that there are.
fn add(above: &mut Layer, layer: Layer) {
    let [bind, rest @ ..] = PLACES;
    let bound = above.contains_key(bind);
    let placed = rest.iter().any(|name| above.contains_key(*name));
    for (name, given) in layer {
        let replaced = if name == bind { placed } else { bound && rest.contains(&name.as_str()) };
        if !replaced {
            above.entry(name).or_insert(given);
        }
    }
}

fn environment(command: &Command, variables: impl Iterator<Item = (String, String)>) -> Result<Layer, LayerError> {
    let ours = variables.filter(|(name, _)| name.starts_with(VARIABLE) && name != OWN_VARIABLE);
    let mut layer = Layer::new();
    for (variable, text) in ours {
        let name = variable[VARIABLE.len()..].to_lowercase().replace('_', "-");
        let arg = find(command, &variable, &name)?;
        let value = match arg.get_action() {
            ArgAction::Append => Value::Array(text.split_whitespace().map(Value::from).collect()),
            _ => Value::String(text),
        };
        insert(&mut layer, arg, &variable, &value)?;
    }
    Ok(layer)
}

fn file(command: &Command, origin: &str, table: Table) -> Result<Layer, LayerError> {
    let mut layer = Layer::new();
    for (name, value) in table {
        let arg = find(command, origin, &name.replace('_', "-"))?;
        insert(&mut layer, arg, origin, &value)?;
    }
    Ok(layer)
}

fn find<'c>(command: &'c Command, origin: &str, name: &str) -> Result<&'c Arg, LayerError> {
    let name = if name == "workers" { "processes" } else { name };
    let known = |arg: &&Arg| {
        let aliases = arg.get_all_aliases().unwrap_or_default();
        arg.get_long() == Some(name) || aliases.contains(&name)
    };
    let own = ["config", "show-config", "help"].contains(&name);
    options(command)
        .find(known)
        .filter(|_| !own)
        .ok_or_else(|| LayerError::Unknown { origin: origin.to_owned(), name: name.to_owned() })
}

fn insert(layer: &mut Layer, arg: &Arg, origin: &str, value: &Value) -> Result<(), LayerError> {
    let name = arg.get_long().unwrap_or_default();
    let words = words(arg, value).map_err(|reason| LayerError::Form {
        origin: origin.to_owned(),
        name: name.to_owned(),
        reason,
    })?;
    layer.insert(name.to_owned(), Given { origin: origin.to_owned(), words });
    Ok(())
}

/// The words by which a command line gives the same value.
fn words(arg: &Arg, value: &Value) -> Result<Vec<String>, &'static str> {
    let option = format!("--{}", arg.get_long().unwrap_or_default());
    let one = |value: &Value| Ok(format!("{option}={}", scalar(value).ok_or("is a text or a number")?));
    match arg.get_action() {
        ArgAction::SetTrue => match scalar(value).as_deref() {
            Some("true" | "1" | "on" | "yes") => Ok(vec![option]),
            Some("false" | "0" | "off" | "no") => Ok(vec![]),
            _ => Err("is true or false"),
        },
        ArgAction::Append if arg.get_num_args().is_some_and(|number| number.min_values() == 2) => {
            let pairs = pairs(value).ok_or("is a table, or a list of pairs of texts")?;
            Ok(pairs.into_iter().flat_map(|(first, second)| [option.clone(), first, second]).collect())
        }
        ArgAction::Append => match value {
            Value::Array(values) => values.iter().map(one).collect(),
            value => Ok(vec![one(value)?]),
        },
        _ => Ok(vec![one(value)?]),
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(flag) => Some(flag.to_string()),
        _ => None,
    }
}

fn pairs(value: &Value) -> Option<Vec<(String, String)>> {
    match value {
        Value::Table(table) => table.iter().map(|(name, value)| Some((name.clone(), scalar(value)?))).collect(),
        Value::Array(values) => match values.iter().map(scalar).collect::<Option<Vec<_>>>() {
            // One after the other.
            Some(words) if words.len() % 2 == 0 => {
                Some(words.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect())
            }
            Some(_) => None,
            None => values
                .iter()
                .map(|pair| match pair.as_array()?.as_slice() {
                    [first, second] => Some((scalar(first)?, scalar(second)?)),
                    _ => None,
                })
                .collect(),
        },
        _ => None,
    }
}

/// Lists each option that has a value, and where it comes from, as a file for `-c`.
pub fn shown(command: &Command, matches: &ArgMatches, layer: &Layer) -> String {
    let mut text = "# The first of these counts: command line, MOD_WSGI_EXPRESS_* variables, the file of -c, pyproject.toml, sockets passed by systemd, defaults.\n".to_owned();
    let entry = command.get_arguments().filter(|arg| arg.get_id() == "entry");
    for arg in entry.chain(
        options(command).filter(|arg| !["config", "show-config", "help"].iter().any(|own| arg.get_long() == Some(own))),
    ) {
        let id = arg.get_id().as_str();
        let name = arg.get_long().unwrap_or("entry-point");
        let Some(source) = matches.value_source(id) else { continue };
        let origin = match (layer.get(name), source) {
            (Some(given), _) => given.origin.as_str(),
            (None, ValueSource::CommandLine) => "command line",
            _ => "default",
        };
        let values: Vec<_> =
            matches.get_raw(id).into_iter().flatten().map(|value| quoted(&value.to_string_lossy())).collect();
        let value = match arg.get_action() {
            ArgAction::SetTrue => matches.get_flag(id).to_string(),
            ArgAction::Append => format!("[{}]", values.join(", ")),
            _ => values.join(""),
        };
        if !(origin == "default" && (value == "false" || value.is_empty())) {
            text += &format!("{name} = {value}  # {origin}\n");
        }
    }
    text
}

/// Quotes a text for TOML, which for these texts is as JSON does it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command() -> Command {
        use clap::Args;
        crate::options::Options::augment_args(Command::new("t").no_binary_name(true))
    }

    fn words_of(text: &str) -> Result<Vec<String>, String> {
        let layer = file(&command(), "f", parse("f", text).unwrap()).map_err(|error| error.to_string())?;
        Ok(layer.into_values().flat_map(|given| given.words).collect())
    }

    #[test]
    fn values_become_words() {
        for (text, expected) in [
            ("port = 80", &["--port=80"][..]),
            ("initial_workers = 0.5", &["--initial-workers=0.5"]),
            ("workers = 2", &["--processes=2"]),
            ("log-to-terminal = true", &["--log-to-terminal"]),
            ("log-to-terminal = false", &[]),
            ("python-path = ['a', 'b c']", &["--python-path=a", "--python-path=b c"]),
            ("python-path = '-x'", &["--python-path=-x"]),
            ("url-alias = [['/a', 'b'], ['/c', 'd']]", &["--url-alias", "/a", "b", "--url-alias", "/c", "d"]),
            ("[setenv]\nKEY = 1", &["--setenv", "KEY", "1"]),
        ] {
            assert_eq!(words_of(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_option_or_value_is_named() {
        for (text, named) in [
            ("prot = 80", "f names the option prot"),
            ("config = 'x'", "f names the option config"),
            ("port = [80]", "f: the value of port is a text or a number"),
            ("log-to-terminal = 'maybe'", "f: the value of log-to-terminal is true or false"),
            ("url-alias = ['/a']", "f: the value of url-alias is a table"),
        ] {
            let error = words_of(text).unwrap_err();
            assert!(error.starts_with(named), "{error}");
        }
        let broken = parse("f", "a = 1\nb = ").unwrap_err().to_string();
        assert!(broken.starts_with("f: line 2"), "{broken}");
    }

    #[test]
    fn variables_are_above_files_and_an_address_takes_the_place_of_the_other_form() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let variables = [
            pair("MOD_WSGI_EXPRESS_BIND", ":81 :82"),
            pair("MOD_WSGI_EXPRESS_URL_ALIAS", "/a b"),
            pair("MOD_WSGI_EXPRESS_FACTS", "{}"),
            pair("MOD_WSGI_USER", "x"),
        ];
        let mut layer = environment(&command(), variables.into_iter()).unwrap();
        let below = file(&command(), "f", parse("f", "port = 80\nthreads = 3\nurl-alias = ['/c', 'd']").unwrap());
        add(&mut layer, below.unwrap());
        let words: Vec<_> = layer.values().flat_map(|given| given.words.clone()).collect();
        assert_eq!(words, ["--bind=:81", "--bind=:82", "--threads=3", "--url-alias", "/a", "b"]);
        assert_eq!(layer["threads"].origin, "f");
    }

    #[test]
    fn sockets_of_systemd_are_where_nobody_says_where_to_listen() {
        let passed = ["0.0.0.0:80", "[::]:443", "unix:/run/s"].map(str::to_owned);
        let words = |text: &str, https| {
            let mut layer = file(&command(), "f", parse("f", text).unwrap()).unwrap();
            add(&mut layer, sockets(&passed, https));
            layer.into_values().flat_map(|given| given.words).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(words("", None), "--bind=0.0.0.0:80 --bind=[::]:443 --bind=unix:/run/s");
        assert_eq!(words("", Some("443")), "--bind=0.0.0.0:80 --bind=unix:/run/s");
        assert_eq!(words("port = 81", None), "--port=81");
        assert_eq!(words("bind = ':82'", None), "--bind=:82");
    }
}
