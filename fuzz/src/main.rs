//! One program for all fuzz targets. The environment variable `WSGI_FUZZ_TARGET` names the one to run, a directory of
//! `corpus/`; all else is libFuzzer's (https://llvm.org/docs/LibFuzzer.html). `scripts/fuzz` builds and runs it.

#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

type Target = fn(&[u8]);

fn target() -> Target {
    let wanted = std::env::var("WSGI_FUZZ_TARGET").unwrap_or_default();
    let all: Vec<(&str, Target)> =
        [
            wsgi_wire::fuzz::TARGETS,
            wsgi_websocket::fuzz::TARGETS,
            mod_wsgi::fuzz::TARGETS,
            _engine::fuzz::TARGETS,
            mod_wsgi_supervisor::fuzz::TARGETS,
            httpd_conf::fuzz::TARGETS,
        ]
        .concat();
    match all.iter().find(|(name, _)| *name == wanted) {
        Some((_, target)) => *target,
        None => {
            let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
            eprintln!("WSGI_FUZZ_TARGET is `{wanted}`, must be one of {}", names.join(", "));
            std::process::exit(2);
        }
    }
}

fuzz_target!(|data: &[u8]| {
    static TARGET: OnceLock<Target> = OnceLock::new();
    TARGET.get_or_init(target)(data);
});
