//! The program `mod_wsgi-supervisor`.

use std::process::ExitCode;

fn main() -> ExitCode {
    mod_wsgi_supervisor::main()
}
