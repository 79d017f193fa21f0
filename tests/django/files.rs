//! Static files and uploads: at which URL, kept for how long, and whose.

use crate::runmodwsgi::{css_of, runmodwsgi};
use harness::{Express, Project, Site};

const FOR_A_YEAR: &str = "max-age=31536000, public, immutable";

/// A project with these settings besides, whose static files are collected.
fn project(settings: &str) -> Project {
    let project = Project::new();
    project.add_settings("INSTALLED_APPS += ['mod_wsgi.express']\nSTATIC_ROOT = BASE_DIR / 'static'");
    project.add_settings(settings);
    project.manage(&["collectstatic", "--noinput", "--verbosity", "0"]);
    project.manage(&["migrate", "--verbosity", "0"]);
    project.give_away();
    project
}

fn configuration(project: &Project, words: &[&str]) -> String {
    let done = runmodwsgi(project, &[words, &["--print"]].concat()).with_place().run();
    assert_eq!(done.code, Some(0), "{}", done.text);
    done.text
}

#[test]
fn a_relative_static_url_follows_the_mount_point() {
    let project = project("");
    let server = runmodwsgi(&project, &["--mount-point", "/shop"]).start();
    let page = server.get("/shop/admin/login/");
    assert_eq!(page.status, 200, "{page:?}");
    let sheets = css_of(&page.text());
    assert!(sheets.iter().any(|sheet| sheet == "/shop/static/admin/css/base.css"), "{sheets:?}");
    for sheet in sheets {
        let css = server.get(&sheet);
        assert_eq!((css.status, css.header("cache-control")), (200, None), "{sheet}: {css:?}");
    }
    assert_eq!(server.get("/static/admin/css/base.css").status, 404);
}

#[test]
fn clients_keep_files_with_a_hash_in_their_names_for_a_year() {
    let project = project(
        "DEBUG = False\nALLOWED_HOSTS = ['*']\nSTORAGES = {'staticfiles': {'BACKEND': \
         'django.contrib.staticfiles.storage.ManifestStaticFilesStorage'}}",
    );
    let server = runmodwsgi(&project, &[]).start();
    let sheets = css_of(&server.get("/admin/login/").text());
    assert!(sheets.iter().any(|sheet| sheet.starts_with("/static/admin/css/base.")), "{sheets:?}");
    for sheet in sheets {
        let css = server.get(&sheet);
        assert_eq!((css.status, css.header("cache-control")), (200, Some(FOR_A_YEAR)), "{sheet}: {css:?}");
    }
    let unhashed = server.get("/static/admin/css/base.css");
    assert_eq!((unhashed.status, unhashed.header("cache-control")), (200, None), "{unhashed:?}");
    let missing = server.get("/static/admin/css/base.0123456789ab.css");
    assert_eq!((missing.status, missing.header("cache-control")), (404, None), "{missing:?}");
}

#[test]
fn what_another_host_serves_has_no_alias() {
    for url in ["https://cdn.example/static/", "//cdn.example/static/"] {
        let text = configuration(&project(&format!("STATIC_URL = '{url}'")), &[]);
        assert!(!text.contains("\nAlias "), "{url}: {text}");
    }
}

#[test]
fn whitenoise_serves_its_files_itself() {
    let project = project(
        "DEBUG = False\nALLOWED_HOSTS = ['*']\nMIDDLEWARE.insert(1, 'whitenoise.middleware.WhiteNoiseMiddleware')\n\
         STORAGES = {'staticfiles': {'BACKEND': 'whitenoise.storage.CompressedManifestStaticFilesStorage'}}",
    );
    assert!(!configuration(&project, &[]).contains("\nAlias "));
    let server = runmodwsgi(&project, &[]).start();
    for sheet in css_of(&server.get("/admin/login/").text()) {
        let css = server.request("GET", &sheet, &[("Accept-Encoding", "gzip")], b"");
        // Apache knows nothing of the compressed copies that WhiteNoise has made.
        assert_eq!((css.status, css.header("content-encoding")), (200, Some("gzip")), "{sheet}: {css:?}");
        let kept = css.header("cache-control").unwrap_or_default();
        assert!(kept.contains("max-age=315360000"), "{sheet}: {css:?}");
    }
}

#[test]
fn whitenoise_below_a_mount_point_works_as_the_advice_says() {
    let whitenoise =
        "DEBUG = False\nALLOWED_HOSTS = ['*']\nMIDDLEWARE.insert(1, 'whitenoise.middleware.WhiteNoiseMiddleware')";
    let words = ["--mount-point", "/shop"];
    let advised = "STATIC_URL to the whole path, such as '/shop/static/', and WHITENOISE_STATIC_PREFIX";
    let told = configuration(&project(whitenoise), &words);
    assert!(told.contains(advised), "{told}");
    let project =
        project(&format!("{whitenoise}\nSTATIC_URL = '/shop/static/'\nWHITENOISE_STATIC_PREFIX = '/static/'"));
    let told = configuration(&project, &words);
    assert!(!told.contains(advised), "{told}");
    let server = runmodwsgi(&project, &words).start();
    for sheet in css_of(&server.get("/shop/admin/login/").text()) {
        assert!(sheet.starts_with("/shop/static/"), "{sheet}");
        assert_eq!(server.get(&sheet).status, 200, "{sheet}");
    }
}

#[test]
fn uploads_are_offered_and_nothing_in_them_runs() {
    let project = project("MEDIA_URL = 'media/'\nMEDIA_ROOT = BASE_DIR / 'uploads'");
    std::fs::create_dir(project.base().join("uploads")).expect("a directory");
    for name in ["page.html", "tool.cgi", ".htaccess"] {
        std::fs::write(project.base().join("uploads").join(name), "<script>steal()</script>").expect("a file");
    }
    project.give_away();
    let told = configuration(&project, &[]);
    assert!(
        told.contains("note: MEDIA_URL, /media/, is not served; --serve-media has Apache serve it from "),
        "{told}"
    );
    let server = runmodwsgi(&project, &["--serve-media", "--with-cgi", "--allow-override", "All"]).start();
    for name in ["page.html", "tool.cgi"] {
        let file = server.get(&format!("/media/{name}"));
        assert_eq!((file.status, file.text().as_str()), (200, "<script>steal()</script>"), "{name}: {file:?}");
        let policy = file.header("content-security-policy").unwrap_or_default();
        assert!(policy.contains("script-src 'none'"), "{name}: {file:?}");
        assert_eq!(file.header("x-content-type-options"), Some("nosniff"), "{name}");
    }
    assert_eq!(server.get("/media/.htaccess").status, 403);
}

#[test]
fn without_a_place_for_uploads_there_are_none_to_serve() {
    let done = runmodwsgi(&project(""), &["--serve-media"]).with_place().run();
    assert_ne!(done.code, Some(0));
    assert!(done.text.contains("--serve-media needs MEDIA_ROOT"), "{}", done.text);
}

#[test]
fn the_same_options_serve_any_application_s_files() {
    let directory = harness::Scratch::new();
    directory.write("app.wsgi", harness::PROBE);
    directory.write("files/app.55e7cbb9ba48.css", "hashed");
    directory.write("files/app.20240131.css", "dated");
    let words = ["start-server", "app.wsgi", "--mount-point", "/shop", "--static-files", "static", "files"];
    let server = Express::new(&words).within(directory.path()).start();
    for (name, kept) in [("app.55e7cbb9ba48.css", Some(FOR_A_YEAR)), ("app.20240131.css", None)] {
        let file = server.get(&format!("/shop/static/{name}"));
        assert_eq!((file.status, file.header("cache-control")), (200, kept), "{name}: {file:?}");
    }
}
