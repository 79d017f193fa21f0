//! Checks whether an application will run with these options.

use std::process::ExitStatus;

use camino::{Utf8Path, Utf8PathBuf};
use httpd_conf::Mpm;

use super::{configuration, https, machine};
use crate::advice::{self, Surroundings};
use crate::facts::Facts;
use crate::finding::{self, Finding};
use crate::options::{Interface, Options};
use crate::plan::{Caller, Plan};
use crate::preflight::{self, Problem, Rights, barrier, may};
use crate::probe::{self, Callable, Depth, LifespanFailure, Report};

/// How many files below a static directory are looked at.
const MOST_FILES: usize = 5000;
/// The name of the main interpreter.
const MAIN: &str = "%{GLOBAL}";

/// Checks the application.
pub fn findings(options: &Options, facts: &Facts, caller: &Caller) -> Vec<Finding> {
    if let Err(mistake) = options.check() {
        return vec![Finding::error("options", mistake)];
    }
    let plan = match Plan::new(options, facts, caller) {
        Ok(plan) => plan,
        Err(error) => return vec![Finding::error("options", error)],
    };
    let missing = preflight::missing(&plan, caller.uid);
    // Not as root, and not what is not there.
    let can_run = missing.is_empty();
    let errors = missing.into_iter().chain(preflight::ports(&plan));
    let errors = errors.chain(preflight::permissions(&plan, facts, caller.uid));
    let errors = errors.chain(preflight::packages(&plan, facts).err());
    let mut found: Vec<_> = errors.map(|problem| Finding::error(kind(&problem), problem)).collect();
    found.extend(preflight::warnings(&plan).map(|text| Finding::warning("static", text)));
    found.extend(statics(&plan));
    found.extend(https::findings(&plan));
    if can_run && finding::is_good(&found) {
        found.extend(configuration::finding(&plan, options, facts, caller));
    }
    let mut resident = None;
    if can_run && is_the_users(&plan) {
        match probe::run(&plan, facts, caller.uid, Depth::Everything) {
            Err(error) => found.push(Finding::error("interpreter", error)),
            Ok(probed) => {
                found.extend(loading(&plan, facts, &probed.report));
                if let Some(status) = probed.death() {
                    found.push(Finding::error("import", ends(&plan, facts, status)));
                }
                if probed.status.is_none() {
                    found.push(Finding::warning("import", slow(&plan, probed.report.stage.as_deref())));
                }
                resident = probed.report.resident;
            }
        }
    }
    found.extend(machine::findings(&plan, resident));
    found.extend(mpm(&plan));
    found
}

/// Reports that another MPM suits an asynchronous application better than the one that is to be loaded.
fn mpm(plan: &Plan) -> Option<Finding> {
    let mpm = plan.server.mpm;
    let is_good = plan.options.interface() != Interface::Asgi || mpm == Mpm::Event;
    let (name, workers) = (mpm.name(), plan.server.sizes.max_workers);
    let what = if mpm == Mpm::Prefork { "processes" } else { "threads" };
    let text = format!(
        "Apache is to run with the MPM {name}, where each connection that is open keeps one of {workers} {what}: leave --server-mpm away, or install the MPM event"
    );
    (!is_good).then(|| Finding::warning("mpm", text))
}

/// The word for what a problem is about.
fn kind(problem: &Problem) -> &'static str {
    match problem {
        Problem::RootWithoutUser => "user",
        Problem::NoEntry { .. } | Problem::NoDirectory(_) => "entry",
        Problem::PortInUse(..) | Problem::Port { .. } => "port",
        Problem::Unreachable { .. } | Problem::Unwritable { .. } => "permissions",
        Problem::NoPackage { .. } => "package",
        Problem::Probe(_) => "interpreter",
    }
}

/// Whether there is an application, and not only files or the welcome page.
fn is_the_users(plan: &Plan) -> bool {
    plan.server.wsgi.hosting.is_some() && !Utf8Path::new(&plan.handler.entry_point).starts_with(&plan.root.path)
}

fn ends(plan: &Plan, facts: &Facts, status: ExitStatus) -> String {
    let (entry, python) = (&plan.handler.entry_point, &facts.executable);
    let try_it = match plan.handler.application_type {
        "module" => format!("-c 'import {entry}'"),
        _ => entry.clone(),
    };
    format!("{entry} ends the process that loads it ({status}): {python} -X faulthandler {try_it} shows where")
}

fn slow(plan: &Plan, stage: Option<&str>) -> String {
    let (entry, limit) = (&plan.handler.entry_point, plan.options.timeouts.startup_timeout);
    let what = stage.map_or_else(|| format!("loading {entry}"), |stage| format!("loading {entry}, with {stage},"));
    format!(
        "{what} takes longer than {limit} seconds: a process that is so slow is ended and started again; raise --startup-timeout, or see what it waits for"
    )
}

/// Finds static directories that Apache's children cannot read.
fn statics(plan: &Plan) -> Vec<Finding> {
    let user = &plan.account;
    let own = plan.root.path.join("htdocs");
    let content = &plan.server.content;
    let directories = content.aliases.iter().map(|alias| &alias.target).chain([&content.document_root]);
    let closed = |path: &Utf8PathBuf| {
        let at = barrier(path, user).or_else(|| unreadable_below(path, plan))?;
        let text = format!("the user {} may not read {path}: {at} denies it; chmod o+rX {at}", user.user);
        Some(Finding::error("static", text))
    };
    directories.filter(|path| **path != own && path.exists()).filter_map(closed).collect()
}

/// Finds the first file or directory that cannot be read, of the first [`MOST_FILES`].
fn unreadable_below(directory: &Utf8Path, plan: &Plan) -> Option<Utf8PathBuf> {
    let mut waiting = vec![directory.to_owned()];
    let mut seen = 0;
    while let Some(directory) = waiting.pop() {
        for entry in directory.read_dir_utf8().into_iter().flatten().flatten() {
            seen += 1;
            let Ok(kind) = entry.file_type() else { continue };
            let wanted = if kind.is_dir() { Rights::ENTER } else { Rights::READ };
            if !may(&plan.account, entry.path(), wanted) {
                return Some(entry.into_path());
            }
            if kind.is_dir() {
                waiting.push(entry.into_path());
            }
            if seen >= MOST_FILES {
                return None;
            }
        }
    }
    None
}

/// Reports how the application could be loaded.
fn loading(plan: &Plan, facts: &Facts, report: &Report) -> Vec<Finding> {
    let handler = &plan.handler;
    let entry = &handler.entry_point;
    let mut found = Vec::new();
    let python = report.python.as_deref().unwrap_or_default();
    if let Some(reason) = &report.engine {
        let text = format!(
            "the engine of mod_wsgi cannot be loaded into Python {python} ({reason}): {} -m pip install --force-reinstall mod_wsgi",
            facts.executable
        );
        found.push(Finding::error("interpreter", text));
    }
    if let Some(failure) = &report.failure {
        let around =
            Surroundings { python: &facts.executable, working_directory: &plan.working_directory, entry_point: entry };
        let at = failure.at.first().map(|at| format!(" ({at})")).unwrap_or_default();
        let cure = advice::advice(failure, &around);
        found.push(Finding::error("import", format!("{entry} cannot be loaded: {}{at}; {cure}", failure.text)));
    }
    let name = &handler.callable_object;
    let python = &facts.executable;
    let wrong = match report.callable {
        Some(Callable::Wsgi) if handler.interface == "asgi" => Some(format!(
            "{name} in {entry} is a WSGI application, and --interface asgi is given: leave that away, or {python} -m pip install a2wsgi, and in {entry} `from a2wsgi import WSGIMiddleware` and `application = WSGIMiddleware({name})`"
        )),
        None | Some(Callable::Wsgi) => None,
        Some(Callable::Asgi) if handler.interface != "wsgi" => None,
        Some(Callable::Missing) => Some(match report.others.first() {
            Some(other) => format!("{entry} has no callable {name}, but {other}: add --callable-object {other}"),
            None => format!(
                "{entry} has no callable {name}; define it there, or name the one it has with --callable-object"
            ),
        }),
        Some(Callable::Asgi) => Some(format!(
            "{name} in {entry} is an ASGI application, and this server runs WSGI: {}, or {python} -m pip install a2wsgi, and in {entry} `from a2wsgi import ASGIMiddleware` and `application = ASGIMiddleware({name})`",
            match plan.options.needs_wsgi() {
                Some(option) => format!("leave {option} away"),
                None => "give --interface asgi".to_owned(),
            },
        )),
        Some(Callable::Arguments) => Some(format!(
            "{name} in {entry} does not take two arguments, environ and start_response; where it makes the application, call it there: `application = {name}()`"
        )),
    };
    found.extend(wrong.map(|text| Finding::error("callable", text)));
    found.extend(report.lifespan.as_ref().map(|failure| lifespan(entry, failure)));
    let group = plan.options.application.application_group.as_deref().filter(|group| *group != MAIN);
    if let Some(group) = group.filter(|_| !report.extensions.is_empty()) {
        let text = format!(
            "it uses {}, which work in the main interpreter of a process only, and --application-group {group} is another; leave that option away",
            report.extensions.join(", ")
        );
        found.push(Finding::warning("interpreter", text));
    }
    found.extend(django(plan, facts, report));
    found
}

/// Reports that an ASGI application does not start, or stop.
fn lifespan(entry: &str, failure: &LifespanFailure) -> Finding {
    let LifespanFailure { stage, text, at } = failure;
    let at = at.first().map(|at| format!(" ({at})")).unwrap_or_default();
    if stage == "startup" {
        let cure = "mend that in the application, or see what it needs at its start";
        return Finding::error("lifespan", format!("{entry} cannot start (lifespan.startup): {text}{at}; {cure}"));
    }
    let text = format!("{entry} does not stop in order (lifespan.shutdown): {text}{at}; mend that in the application");
    Finding::warning("lifespan", text)
}

fn django(plan: &Plan, facts: &Facts, report: &Report) -> Vec<Finding> {
    let finding = |message: &probe::DjangoMessage| {
        let hint = if message.hint.is_empty() { String::new() } else { format!("; {}", message.hint) };
        let text = format!("Django says {}: {}{hint}", message.id, message.text.trim_end_matches('.'));
        if message.serious { Finding::error("django", text) } else { Finding::warning("django", text) }
    };
    let mut found: Vec<_> = report.django.iter().map(finding).collect();
    if let Some(number) = report.migrations.filter(|number| *number > 0) {
        let manage = plan.working_directory.join("manage.py");
        let text = format!("the database lacks {number} of Django's migrations: {} {manage} migrate", facts.executable);
        found.push(Finding::warning("django", text));
    }
    found.extend(report.unchecked.as_ref().map(|reason| {
        Finding::warning(
            "django",
            format!("the checks of Django did not come to their end ({reason}); run manage.py check --deploy"),
        )
    }));
    found
}
