//! `manage.py runmodwsgi`

use harness::{Express, Project, Site, product};

/// A project with the command enabled and its static files collected.
fn project(app: &str) -> Project {
    let project = Project::new();
    project.add_settings(&format!("INSTALLED_APPS += ['{app}']\nSTATIC_ROOT = BASE_DIR / 'static'"));
    project.manage(&["collectstatic", "--noinput", "--verbosity", "0"]);
    project
}

/// `manage.py runmodwsgi` with these words, in the project's directory.
pub fn runmodwsgi(project: &Project, words: &[&str]) -> Express {
    let words: Vec<_> = ["manage.py", "runmodwsgi"].into_iter().chain(words.iter().copied()).collect();
    Express::program(&product().program("python").display().to_string(), &words).within(&project.base())
}

/// The style sheets that a page refers to.
pub fn css_of(page: &str) -> Vec<String> {
    let links = page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    links.filter(|link| link.ends_with(".css")).map(String::from).collect()
}

fn serves_the_site(site: &impl Site) {
    assert_eq!(site.get("/").status, 200);
    let css = site.get("/static/admin/css/base.css");
    assert_eq!(css.status, 200, "{css:?}");
    assert!(css.header("server").is_some_and(|server| server.starts_with("Apache")), "{css:?}");
}

#[test]
fn it_serves_the_project_and_its_static_files() {
    let project = project("mod_wsgi.express");
    serves_the_site(&runmodwsgi(&project, &[]).start());
}

#[test]
fn the_old_name_of_the_app_works() {
    let project = project("mod_wsgi.server");
    let server = runmodwsgi(&project, &[]).start();
    server.console.expect(&["in INSTALLED_APPS is the old name", "_bootstrap._gcd_import"]);
    serves_the_site(&server);
}

#[test]
fn an_ordinary_user_needs_no_option() {
    let project = project("mod_wsgi.express");
    project.give_away();
    serves_the_site(&runmodwsgi(&project, &[]).as_ordinary_user().with_address().start_as_it_is());
}

#[test]
fn it_takes_the_options_of_the_command() {
    let project = project("mod_wsgi.express");
    std::fs::create_dir(project.base().join("media")).expect("a directory");
    std::fs::write(project.base().join("media/a.txt"), "media").expect("a file");
    let server = runmodwsgi(&project, &["--processes", "2", "--url-alias", "/media", "media"]).start();
    assert_eq!(server.get("/media/a.txt").text(), "media");
    serves_the_site(&server);
}

#[test]
fn setup_only_makes_a_server_root_that_needs_no_environment() {
    let project = project("mod_wsgi.express");
    let control = runmodwsgi(&project, &["--setup-only"]).set_up();
    let started = control.apachectl("start");
    assert_eq!(started.code, Some(0), "{}", started.text);
    let listens = || control.listens().then_some(());
    assert!(harness::eventually(std::time::Duration::from_secs(20), listens).is_some(), "{}", control.log.text());
    serves_the_site(&control);
}

#[test]
fn a_wrong_option_is_named() {
    let done = runmodwsgi(&project("mod_wsgi.express"), &["--setup-only", "--port", "eighty"]).run();
    assert!(!matches!(done.code, Some(0) | None), "{done:?}");
    assert!(done.text.contains("--port") && !done.text.contains("Traceback"), "{}", done.text);
}

#[test]
fn every_option_of_the_command_is_passed_on() {
    let project = project("mod_wsgi.express");
    project.give_away();
    let known = Express::new(&["start-server", "--help-all"]).run().text;
    let options: Vec<_> = known
        .lines()
        .filter_map(|line| {
            line.trim_start().strip_prefix("--").or(line.trim_start().split_once(", --").map(|(_, n)| n))
        })
        .filter_map(|line| line.split([' ', '\n']).next().map(|name| (format!("--{name}"), line.matches(" <").count())))
        .filter(|(name, _)| {
            !["--help", "--help-all", "--version", "--application-type", "--callable-object"].contains(&name.as_str())
        })
        .collect();
    assert!(options.len() > 130, "{known}");
    let script = r#"
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "mysite.settings"
from django.core.management import execute_from_command_line
from mod_wsgi.express import cli
for option in sys.argv[1:]:
    for words in ([option], [option, "a value"], [option, "one", "two words"], [option, "-minus", "/x"], [f"{option}=v"]):
        passed = []
        cli.start = lambda *args: passed.extend(args)
        execute_from_command_line(["manage.py", "runmodwsgi", "--skip-checks", *words])
        if passed[-len(words):] != words:
            print(words, "became", passed)
print("done")
"#;
    let names: Vec<_> = options.iter().map(|(name, _)| name.as_str()).collect();
    let python = product().program("python").display().to_string();
    let done = Express::program(&python, &[&["-c", script], &names[..]].concat()).within(&project.base()).run();
    let told: Vec<_> = done.text.lines().filter(|line| !line.starts_with("warning: DEBUG")).collect();
    assert_eq!(told, ["done"]);
}

#[test]
fn a_change_of_any_module_is_seen_while_people_develop() {
    let project = project("mod_wsgi.express");
    let urls = |word: &str| {
        let text = format!(
            "from django.http import HttpResponse\nfrom django.urls import path\n\nurlpatterns = [path('', lambda request: HttpResponse('{word}'))]\n"
        );
        std::fs::write(project.base().join("mysite/urls.py"), text).expect("a module");
    };
    urls("before");
    project.give_away();
    let server = runmodwsgi(&project, &["--reload"]).start();
    server.console.expect(&["Starting change monitor", "Change detected to", "Triggering process restart"]);
    assert!(!server.console.text().contains("DEBUG is on"), "{}", server.console.text());
    assert_eq!(server.get("/").text(), "before");
    urls("afterwards");
    let seen = || (server.get("/").text() == "afterwards").then_some(());
    assert!(harness::eventually(std::time::Duration::from_secs(30), seen).is_some(), "{}", server.console.text());
}

#[test]
fn it_serves_the_asgi_application_of_the_project_and_its_static_files() {
    let project = project("mod_wsgi.express");
    project.add_settings("ROOT_URLCONF = 'mysite.views'");
    std::fs::write(
        project.base().join("mysite/views.py"),
        "import asyncio\nfrom django.contrib import admin\nfrom django.http import HttpResponse, StreamingHttpResponse\nfrom django.urls import path\n\n\
         async def view(request):\n    return HttpResponse(type(request).__name__)\n\n\
         async def pieces():\n    for number in range(3):\n        await asyncio.sleep(0.01)\n        yield f'{number}\\n'\n\n\
         async def stream(request):\n    return StreamingHttpResponse(pieces())\n\n\
         urlpatterns = [path('', view), path('stream', stream), path('admin/', admin.site.urls)]\n",
    )
    .expect("views");
    project.add_settings("ASGI_APPLICATION = 'mysite.asgi.application'");
    let server = runmodwsgi(&project, &["--interface", "asgi"]).start();
    assert!(!server.console.text().contains("W007"), "it serves what needs ASGI: {}", server.console.text());
    assert_eq!(server.get("/").text(), "ASGIRequest");
    assert_eq!(server.get("/stream").text(), "0\n1\n2\n");
    serves_the_site(&server);
    let other = runmodwsgi(&project, &[]).start();
    assert_eq!(other.get("/").text(), "WSGIRequest");
}
