//! What `manage.py check` says of a project that this server is to serve.

use harness::{Project, product, run};
use std::process::Command;

/// A fresh project whose settings get these lines.
fn project(settings: &str) -> Project {
    let project = Project::new();
    project.add_settings("INSTALLED_APPS += ['mod_wsgi.express']\nSTATIC_ROOT = BASE_DIR / 'static'");
    project.add_settings(settings);
    project
}

/// What the checks say.
fn checked(project: &Project) -> String {
    let mut check = Command::new(product().program("python"));
    let done =
        run(check.args(["manage.py", "check", "--tag", "mod_wsgi"]).current_dir(project.base()), project.parent());
    assert_eq!(done.code, Some(0), "{}", done.text);
    done.text
}

/// Whether the checks say just these things.
#[track_caller]
fn says(project: &Project, expected: &[&str]) {
    let text = checked(project);
    let ids: Vec<_> = text.split("(mod_wsgi.").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    assert_eq!(ids, expected, "{text}");
    assert_eq!(text.matches("HINT:").count(), expected.len(), "{text}");
}

fn collect(project: &Project) {
    project.manage(&["collectstatic", "--noinput", "--verbosity", "0"]);
}

#[test]
fn files_that_nobody_serves_or_has_collected_are_told() {
    let fresh = project("");
    says(&fresh, &["W002"]);
    collect(&fresh);
    says(&fresh, &[]);
    std::fs::remove_file(fresh.base().join("static/admin/css/base.css")).expect("a collected file");
    says(&fresh, &["W002"]);
    says(&project("STATIC_ROOT = None"), &["W001"]);
    says(&project("STATIC_ROOT = None\nSTATIC_URL = '//cdn.example/'"), &[]);
    says(&project("STATIC_ROOT = None\nMIDDLEWARE += ['whitenoise.middleware.WhiteNoiseMiddleware']"), &[]);
    says(&project("STATIC_URL = '/'"), &["W004"]);
}

#[test]
fn names_with_a_hash_need_their_manifest() {
    let settings = "DEBUG = False\nALLOWED_HOSTS = ['*']\nSTORAGES = {'staticfiles': {'BACKEND': \
                    'django.contrib.staticfiles.storage.ManifestStaticFilesStorage'}}";
    let hashed = project(settings);
    says(&hashed, &["W003"]);
    collect(&hashed);
    says(&hashed, &[]);
}

#[test]
fn code_that_would_be_served_is_told() {
    let settings = "MEDIA_URL = 'media/'\nMEDIA_ROOT = BASE_DIR\nSTATIC_ROOT = BASE_DIR.parent";
    says(&project(settings), &["W005", "W005"]);
}

#[test]
fn a_project_of_asgi_is_told_what_works() {
    let without = project("STATIC_ROOT = None\nSTATIC_URL = None\nWSGI_APPLICATION = None");
    says(&without, &["W006"]);
    let both = project("STATIC_URL = None\nASGI_APPLICATION = 'mysite.asgi.application'");
    says(&both, &["W007"]);
    assert!(checked(&both).contains("WebSockets") && checked(&both).contains("--interface asgi"));
    says(&project("STATIC_URL = None\nWSGI_APPLICATION = None\nASGI_APPLICATION = 'mysite.asgi.application'"), &[]);
}

#[test]
fn hosts_that_all_get_400_are_told() {
    says(&project("STATIC_URL = None\nDEBUG = False"), &["W008"]);
}

#[test]
fn a_warning_can_be_silenced() {
    says(&project("SILENCED_SYSTEM_CHECKS = ['mod_wsgi.W002']"), &[]);
}
