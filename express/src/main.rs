//! `mod_wsgi-express`: a Python WSGI application in an Apache of its own, from one command line.
//!
//! The way of a command line: [`options`] (text, checked by itself) → [`plan`] (looked up on this machine) → [`files`]
//! (texts) → written → [`run`]. [`preflight`] finds before the start what would fail after it.
//!
//! Knows the command line, this machine and how Apache is started. Must not know what the wire carries between the
//! halves: it speaks to a running server by signals, files and the administrator's socket.
#![forbid(unsafe_code)]
#![cfg_attr(windows, allow(dead_code, unused_imports, reason = "what only a server of the command's own needs"))]

mod cli;
mod documents;
mod error;
mod expand;
mod facts;
mod help;
mod layers;
mod module;
mod options;
#[cfg(test)]
mod reference;

#[cfg(unix)]
mod administration;
#[cfg(unix)]
mod advice;
#[cfg(unix)]
mod banner;
#[cfg(unix)]
mod check;
#[cfg(unix)]
mod files;
#[cfg(unix)]
mod finding;
#[cfg(unix)]
mod plan;
#[cfg(unix)]
mod preflight;
#[cfg(unix)]
mod probe;
#[cfg(unix)]
mod restart;
#[cfg(unix)]
mod run;
#[cfg(unix)]
mod saying;
#[cfg(unix)]
mod self_signed;
#[cfg(unix)]
mod server;
#[cfg(unix)]
mod sockets;
#[cfg(unix)]
mod status;
#[cfg(unix)]
mod systemd;
#[cfg(unix)]
mod trial;

use std::process::ExitCode;

use cli::{Command, Parsed};
use error::Error;
use facts::Facts;

fn main() -> ExitCode {
    #[cfg(unix)]
    sockets::keep();
    let variables = std::env::vars_os().filter_map(|(n, v)| Some((n.into_string().ok()?, v.into_string().ok()?)));
    let code = match cli::parse(std::env::args_os(), variables) {
        Ok(Parsed::Show(text)) => {
            print!("{text}");
            0
        }
        Ok(Parsed::Run(cli)) => dispatch(cli.command).unwrap_or_else(|error| {
            eprintln!("error: {error}");
            error.exit_code()
        }),
        Err(error) => cli::explain(&error),
    };
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

/// Runs a command. Returns the exit code.
fn dispatch(command: Command) -> Result<i32, Error> {
    match &command {
        Command::Dependent { control, command, awaits_verdict } => {
            return dependent(control, *command, *awaits_verdict);
        }
        Command::Judge => return judge(),
        _ => {}
    }
    if let Command::WriteDocuments { directory } = &command {
        return documents::write(&cli::command(), directory).map(|()| 0).map_err(Error::Documents);
    }
    #[cfg(unix)]
    match &command {
        Command::Restart(options) => return server::restart(options),
        Command::Status(options) => return server::status(options),
        _ => {}
    }
    let facts = Facts::collect()?;
    match command {
        Command::ModuleConfig => print!("{}", module::configuration(&facts, &facts.module)),
        Command::ModuleLocation => println!("{}", facts.module),
        _ if cfg!(windows) || facts.platform == "win32" => return Err(Error::Windows),
        Command::InstallModule(options) => return install(&facts, options.modules_directory),
        Command::StartServer(options) => return serve(&options, &facts, options.layout.setup_only),
        Command::Check(options) => return examine(&options, &facts),
        Command::SetupServer(options) => return serve(&options, &facts, true),
        Command::WriteDocuments { .. }
        | Command::Dependent { .. }
        | Command::Judge
        | Command::Restart(_)
        | Command::Status(_) => {}
    }
    Ok(0)
}

#[cfg(unix)]
use server::{dependent, examine, install, judge, serve};

#[cfg(not(unix))]
mod not_unix;
#[cfg(not(unix))]
use not_unix::{dependent, examine, install, judge, serve};
