//! The help: the options that most people look for, with examples, and all options by `--help-all`.

use clap::{Arg, ArgAction, Command};

/// The options that `--help` shows; `--help-all` shows every one.
const COMMON: [&str; 40] = [
    "entry",
    "application_type",
    "interface",
    "callable_object",
    "working_directory",
    "python_path",
    "mount_point",
    "reload_on_changes",
    "limit_request_body",
    "host",
    "port",
    "bind",
    "server_name",
    "server_alias",
    "https_port",
    "ssl_certificate",
    "self_signed",
    "https_only",
    "url_alias",
    "document_root",
    "include_file",
    "processes",
    "threads",
    "request_timeout",
    "log_to_terminal",
    "log_level",
    "log_format",
    "access_log",
    "user",
    "group",
    "setenv",
    "env_file",
    "trust_proxy",
    "trust_proxy_header",
    "server_status",
    "server_root",
    "config",
    "show_config",
    "setup_only",
    "debug_mode",
];

/// The options of other commands, which are few enough to be shown.
const OWN: [&str; 5] = ["apache", "file", "format", "print", "systemd"];

const START: &str = "\
Examples:
  mod_wsgi-express start-server shop.wsgi
      serves the script at http://localhost:8000/
  mod_wsgi-express start-server shop.wsgi:application --processes 4 --bind 127.0.0.1:8080
      serves a module's callable
  mod_wsgi-express start-server shop:app --interface asgi
      serves an asynchronous application
  mod_wsgi-express start-server shop.wsgi --reload-on-changes --log-to-terminal
      while it is written
  mod_wsgi-express start-server shop.wsgi --url-alias /static static --server-name shop.example \\
      --https-port 443 --port 80 --https-only --ssl-certificate /etc/ssl/shop --user shop --group shop
      as root, with its files and HTTPS

All options: mod_wsgi-express start-server --help-all";

const SETUP: &str = "\
Examples:
  mod_wsgi-express setup-server shop.wsgi --server-root /srv/shop/server
      prepares a server; /srv/shop/server/apachectl start runs it
  mod_wsgi-express setup-server shop.wsgi --systemd --user shop
      prints a unit for systemd

All options: mod_wsgi-express setup-server --help-all";

const CHECK: &str = "\
Examples:
  mod_wsgi-express check shop.wsgi --url-alias /static static
      will it run?
  mod_wsgi-express check --apache -f /etc/apache2/apache2.conf
      does a configuration of Apache make sense?

All options: mod_wsgi-express check --help-all";

const STATUS: &str = "\
Examples:
  mod_wsgi-express status --watch
      the server at port 8000, every two seconds
  mod_wsgi-express status --socket /run/apache2/wsgi.123.control.sock --format json";

const RESTART: &str = "\
Examples:
  mod_wsgi-express restart
      all processes of the server at port 8000 are replaced
  mod_wsgi-express restart shop --server-root /srv/shop/server";

/// Adds the help to a command.
pub fn explained(command: Command) -> Command {
    let help = |name: &'static str, action, text: &'static str| {
        Arg::new(name).long(name).action(action).help(text).help_heading("Help")
    };
    let command = command.disable_help_flag(true).arg(help("help", ArgAction::HelpShort, "Print this help").short('h'));
    let examples = match command.get_name() {
        "start-server" => START,
        "setup-server" => SETUP,
        "check" => CHECK,
        "status" => return command.after_help(STATUS),
        "restart" => return command.after_help(RESTART),
        _ => return command,
    };
    let all = help("help-all", ArgAction::HelpLong, "Print help with all options");
    let is_shown = |name: &str| COMMON.contains(&name) || OWN.contains(&name) || name.starts_with("help");
    command
        .mut_args(|arg| {
            let hidden = arg.is_hide_set() || !is_shown(arg.get_id().as_str());
            arg.hide_short_help(hidden)
        })
        .arg(all)
        .after_help(examples)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn what_is_common_exists() {
        let cli = Cli::command();
        let names = |name: &str| -> Vec<String> {
            let sub = cli.find_subcommand(name).unwrap();
            sub.get_arguments().map(|arg| arg.get_id().to_string()).collect()
        };
        let (start, check) = (names("start-server"), names("check"));
        for name in COMMON {
            assert!(start.iter().any(|known| known == name), "{name}");
        }
        for name in OWN {
            assert!(check.iter().any(|known| known == name), "{name}");
        }
    }
}
