//! The commands of the article, word by word, as a newcomer types them: no root, nothing installed but the product.
//!
//! Only a free port of 127.0.0.1 is added, because several tests run at once.

use harness::{Express, Project, Site};

/// What makes the admin pages work: the article's own lines.
const STATIC_ROOT: &str = "import os\nSTATIC_ROOT = os.path.join(BASE_DIR, 'static')";

/// The style sheets that a page of the admin refers to.
fn style_sheets(page: &str) -> Vec<String> {
    let links = page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    links.filter(|link| link.ends_with(".css")).map(String::from).collect()
}

#[test]
fn the_project_starts_from_the_directory_above_it() {
    let project = Project::new();
    project.give_away();
    let server =
        Express::new(&["start-server", "--working-directory", "mysite", "--application-type", "module", "mysite.wsgi"])
            .within(project.parent())
            .as_ordinary_user()
            .with_address()
            .start_as_it_is();
    let page = server.get("/");
    assert_eq!(page.status, 200, "{page:?}");
    assert!(page.text().contains("Django"), "{page:?}");
    assert!(page.header("server").is_some_and(|server| server.starts_with("Apache")), "{page:?}");
}

#[test]
fn the_admin_and_its_style_sheets_come_from_apache() {
    let project = Project::new();
    project.add_settings(STATIC_ROOT);
    project.manage(&["migrate", "--verbosity", "0"]);
    project.manage(&["collectstatic", "--noinput", "--verbosity", "0"]);
    project.give_away();
    let server = Express::new(&[
        "start-server",
        "--url-alias",
        "/static",
        "static",
        "--application-type",
        "module",
        "mysite.wsgi",
    ])
    .within(&project.base())
    .as_ordinary_user()
    .with_address()
    .start_as_it_is();
    let away = server.get("/admin/");
    assert_eq!((away.status, away.header("location")), (302, Some("/admin/login/?next=/admin/")));
    let page = server.get("/admin/login/?next=/admin/");
    assert_eq!(page.status, 200, "{page:?}");
    assert!(page.header("server").is_some_and(|server| server.starts_with("Apache")), "{page:?}");
    let sheets = style_sheets(&page.text());
    assert!(sheets.iter().any(|sheet| sheet.ends_with("/admin/css/base.css")), "{sheets:?}");
    for sheet in sheets {
        let css = server.get(&sheet);
        assert_eq!(css.status, 200, "{sheet}: {css:?}");
        assert!(css.header("content-type").is_some_and(|kind| kind.starts_with("text/css")), "{sheet}: {css:?}");
        assert!(css.header("server").is_some_and(|server| server.starts_with("Apache")), "{sheet}: {css:?}");
        let collected = std::fs::read(project.base().join(sheet.trim_start_matches('/'))).expect("the collected file");
        assert!(css.body == collected, "{sheet} is not what was collected");
    }
}

#[test]
fn settings_that_fail_are_shown_with_file_and_line() {
    let project = Project::new();
    project.add_settings("FAVOURITE = undefined_name");
    let done = Express::new(&["start-server", "--application-type", "module", "mysite.wsgi"])
        .within(&project.base())
        .with_place()
        .run();
    assert!(matches!(done.code, Some(1 | 2)), "{done:?}");
    for part in ["Traceback", "settings.py", "undefined_name"] {
        assert!(done.text.contains(part), "{part:?} is not in {}", done.text);
    }
}
