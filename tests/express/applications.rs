//! What is served: scripts, modules, directories, and files beside them.

use harness::{Express, HELLO, PROBE, Scratch, Site};

/// A directory with these files, for the command to start in.
fn directory(files: &[(&str, &str)]) -> Scratch {
    let directory = Scratch::new();
    for (name, text) in files {
        directory.write(name, text);
    }
    directory
}

fn serve(directory: &Scratch, words: &[&str]) -> harness::Foreground {
    let words: Vec<_> = std::iter::once("start-server").chain(words.iter().copied()).collect();
    Express::new(&words).within(directory.path()).start()
}

#[test]
fn a_script_is_the_usual_application() {
    let directory = directory(&[("hello.wsgi", HELLO)]);
    let server = serve(&directory, &["hello.wsgi"]);
    assert_eq!(server.get("/any/path").text(), "hello");
    drop(server);
    let typed = serve(&directory, &["--application-type", "script", "--entry-point", "hello.wsgi"]);
    assert_eq!(typed.get("/").text(), "hello");
}

#[test]
fn a_module_is_imported_from_the_working_directory_and_the_python_path() {
    let directory = directory(&[
        ("site/shop/__init__.py", ""),
        ("site/shop/web.py", PROBE),
        ("lib/library.py", "name = 'library'\n"),
    ]);
    let library = directory.path().join("lib").display().to_string();
    let server = serve(
        &directory,
        &["--working-directory", "site", "--python-path", &library, "--application-type", "module", "shop.web"],
    );
    assert_eq!(server.ask("__import__('library').name"), "library");
    assert_eq!(server.ask("os.getcwd()"), directory.path().join("site").display().to_string());
}

#[test]
fn another_callable_can_be_named() {
    let directory = directory(&[("shop.py", &HELLO.replace("application", "web"))]);
    let server = serve(&directory, &["--application-type", "module", "shop", "--callable-object", "web"]);
    assert_eq!(server.get("/").text(), "hello");
}

#[test]
fn a_static_server_serves_its_document_root() {
    let directory = directory(&[("public/page.html", "<p>a page")]);
    let server = serve(&directory, &["--application-type", "static", "--document-root", "public"]);
    let page = server.get("/page.html");
    assert_eq!((page.text().as_str(), page.header("content-type")), ("<p>a page", Some("text/html")));
    assert_eq!(server.get("/missing.html").status, 404);
}

#[test]
fn url_aliases_are_directories_and_files_and_can_be_repeated() {
    let directory = directory(&[
        ("probe.wsgi", PROBE),
        ("css/site.css", "body {}"),
        ("media/a.txt", "a"),
        ("robots.txt", "Disallow: /"),
    ]);
    let server = serve(
        &directory,
        &[
            "probe.wsgi",
            "--url-alias",
            "/static",
            "css",
            "--url-alias",
            "/media",
            "media",
            "--url-alias",
            "/robots.txt",
            "robots.txt",
        ],
    );
    let css = server.get("/static/site.css");
    assert_eq!((css.status, css.text().as_str()), (200, "body {}"));
    assert!(css.header("content-type").is_some_and(|kind| kind.starts_with("text/css")), "{css:?}");
    assert_eq!(server.get("/media/a.txt").text(), "a");
    assert_eq!(server.get("/robots.txt").text(), "Disallow: /");
    assert_eq!(server.get("/static/missing.css").status, 404);
    assert_eq!(server.ask_at("/other", "environ['PATH_INFO']"), "/other");
}

#[test]
fn a_directory_of_an_alias_that_is_made_later_is_a_warning_and_works_from_then_on() {
    let directory = directory(&[("probe.wsgi", PROBE)]);
    let server = serve(&directory, &["probe.wsgi", "--url-alias", "/media", "media"]);
    let media = directory.path().join("media").display().to_string();
    server.console.wait_for(&format!("warning: {media}, the target of --url-alias /media, does not exist"));
    assert_eq!(server.get("/media/a.txt").status, 403);
    assert_eq!(server.ask("1"), 1, "the rest of the site is there");
    directory.write("media/a.txt", "uploaded");
    assert_eq!(server.get("/media/a.txt").text(), "uploaded");
}

#[test]
fn files_of_the_document_root_come_before_the_application() {
    let directory = directory(&[("probe.wsgi", PROBE), ("public/logo.txt", "logo")]);
    let server = serve(&directory, &["probe.wsgi", "--document-root", "public"]);
    assert_eq!(server.get("/logo.txt").text(), "logo");
    assert_eq!(server.ask_at("/other", "environ['SCRIPT_NAME']"), "");
}

#[test]
fn a_mount_point_moves_the_application() {
    let directory = directory(&[("probe.wsgi", PROBE)]);
    let server = serve(&directory, &["probe.wsgi", "--mount-point", "/shop"]);
    assert_eq!(
        server.ask_at("/shop/cart", "[environ['SCRIPT_NAME'], environ['PATH_INFO']]"),
        serde_json::json!(["/shop", "/cart"])
    );
    assert_eq!(server.get("/cart").status, 404);
}

#[test]
fn processes_and_threads_are_as_asked_for() {
    let directory = directory(&[("probe.wsgi", PROBE)]);
    let server = serve(&directory, &["probe.wsgi", "--processes", "2", "--threads", "3"]);
    assert_eq!(
        server.ask("[environ['wsgi.multiprocess'], environ['wsgi.multithread']]"),
        serde_json::json!([true, true])
    );
}

#[test]
fn an_include_file_adds_configuration() {
    let directory = directory(&[("probe.wsgi", PROBE), ("extra.conf", "SetEnv COLOUR blue\n")]);
    let server = serve(&directory, &["probe.wsgi", "--include-file", "extra.conf"]);
    assert_eq!(server.ask("environ['COLOUR']"), "blue");
}

#[test]
fn without_an_application_a_page_of_welcome_is_served() {
    let directory = Scratch::new();
    let server = serve(&directory, &[]);
    assert_eq!(server.get("/").status, 200);
}
