//! The suites by which gunicorn judges its asynchronous workers, run against Apache: `make gunicorn-suites`, which
//! fetches them.

use std::path::{Path, PathBuf};
use std::process::Command;

use harness::{Builder, Httpd, Site, cannot_run, free_port, module};

use crate::tls::Tls;

/// The cases that are left out of the one about compliance: nobody is in front of Apache who would add a header
/// `X-Forwarded-For`.
const OTHERS: &str = "not test_proxy_headers_forwarded";

/// The directory with the suites and the virtual environment that they run in, if there is one.
fn place(test: &str) -> Option<PathBuf> {
    let place = std::env::var_os("GUNICORN_SUITES").map(PathBuf::from);
    if place.is_none() {
        cannot_run(test, "needs gunicorn's suites, whose directory GUNICORN_SUITES names (make gunicorn-suites)");
    }
    place
}

/// A process group with the packages of the suites, which finds modules in this directory, too.
fn group(name: &str, place: &Path, directory: &Path, options: &str) -> String {
    format!(
        "WSGIDaemonProcess {name} interface=asgi python-home={} python-path={} {options}",
        place.join("venv").display(),
        directory.display()
    )
}

fn run(place: &Path, suite: &str, words: &[&str], variables: &[(&str, String)]) {
    let mut command = Command::new(place.join("venv/bin/python"));
    command.args(["-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto"]).args(words);
    command.current_dir(place.join("suites").join(suite)).env("PYTHONDONTWRITEBYTECODE", "1");
    let done = command.envs(variables.iter().map(|(name, value)| (name, value))).output().expect("pytest runs");
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
    let told = said.lines().filter(|line| line.starts_with("SKIPPED") || line.contains(" passed"));
    println!("{suite}: {}", told.collect::<Vec<_>>().join("\n"));
}

#[test]
fn gunicorns_suite_about_compliance_passes() {
    let test = "gunicorns_suite_about_compliance_passes";
    let Some(place) = place(test) else { return };
    let (Some(tls), Some(http2)) = (Tls::make(test), module("http2")) else { return };
    let port = free_port();
    let alias = "WSGIScriptAlias / {apps}/main.py process-group=site";
    let site = Httpd::builder()
        .app("main.py", "from apps.main_app import app as application\n")
        .conf(&format!("LoadModule http2_module {}", http2.display()))
        .conf(&group("site", &place, &place.join("suites/asgi_compliance"), "disconnect-grace=0"))
        .conf(alias)
        .conf(&tls.host(port, &format!("Protocols h2 http/1.1\n{alias}")))
        .start();
    let variables =
        [("PLAIN", site.url("").trim_end_matches('/').to_owned()), ("TLS", format!("https://127.0.0.1:{port}"))];
    run(&place, "asgi_compliance", &["-k", OTHERS], &variables);
    site.finish();
}

#[test]
fn gunicorns_suite_about_frameworks_passes() {
    let Some(place) = place("gunicorns_suite_about_frameworks_passes") else { return };
    let frameworks = place.join("suites/asgi_framework_compat/frameworks");
    let all = ["django", "fastapi", "starlette", "quart", "litestar", "blacksheep"].map(|name| (name, free_port()));
    let add = |builder: Builder, (name, port): &(&str, u16)| {
        let directory = frameworks.join(format!("{name}_app"));
        let script = directory.join(if *name == "django" { "asgi.py" } else { "app.py" });
        let callable = if *name == "django" { "application" } else { "app" };
        builder.conf(&group(name, &place, &directory, "")).conf(&format!(
            "Listen 127.0.0.1:{port}\n<VirtualHost *:{port}>\n\
             WSGIScriptAlias / {} process-group={name} callable-object={callable}\n</VirtualHost>\n\
             <Directory {}>\nRequire all granted\n</Directory>",
            script.display(),
            directory.display()
        ))
    };
    let builder = Httpd::builder().expect_log(&[": /status/"]);
    let site = all.iter().fold(builder, add).start();
    let variables = all.map(|(name, port)| (name.to_uppercase(), port.to_string()));
    let variables: Vec<_> = variables.iter().map(|(name, port)| (name.as_str(), port.clone())).collect();
    run(&place, "asgi_framework_compat", &["--skip-docker-check", "tests"], &variables);
    site.finish();
}
