//! The demo of `examples/` in a browser: what a person sees, not only what the server sends.

use harness::{Browser, Express, Foreground, Scratch, Site, cannot_run, free_port, product, repository, run};
use std::fs;
use std::process::Command;

const ICON: &str = "/favicon.ico";

/// A copy of the demo with its database, its administrator and its static files.
fn demo() -> Scratch {
    let directory = Scratch::new();
    let source = repository().join("examples/mysite");
    let copied = run(Command::new("cp").arg("-R").arg(source).arg(directory.path()), directory.path());
    assert_eq!(copied.code, Some(0), "{}", copied.text);
    manage(&directory, &["migrate", "--verbosity", "0"]);
    manage(&directory, &["createsuperuser", "--noinput", "--username", "admin", "--email", "admin@example.com"]);
    manage(&directory, &["collectstatic", "--noinput", "--verbosity", "0"]);
    directory
}

fn manage(directory: &Scratch, words: &[&str]) {
    let mut command = Command::new(product().program("python"));
    command
        .arg("manage.py")
        .args(words)
        .current_dir(directory.path().join("mysite"))
        .env("DJANGO_SUPERUSER_PASSWORD", "opensesame");
    let done = run(&mut command, directory.path());
    assert_eq!(done.code, Some(0), "manage.py {words:?}: {}", done.text);
}

/// A browser, where there is one.
fn browser(case: &str) -> Option<Browser> {
    let browser = Browser::start();
    if browser.is_none() {
        cannot_run(case, "chromedriver is not on PATH: install chromium-driver");
    }
    browser
}

/// The demo as its command serves it, with these options besides.
fn serve(directory: &Scratch, options: &[&str]) -> Foreground {
    if harness::is_root() {
        directory.give_to(harness::ORDINARY_USER);
    }
    let python = product().program("python").display().to_string();
    let words = [&["manage.py", "runmodwsgi", "--interface", "asgi"][..], options].concat();
    Express::program(&python, &words).within(&directory.path().join("mysite")).start()
}

#[test]
fn the_demo_works_in_a_browser() {
    let Some(browser) = browser("the_demo_works_in_a_browser") else { return };
    let directory = demo();
    let site = serve(&directory, &[]);

    browser.go_to(&site.url("/admin/"));
    assert!(browser.address().contains("/admin/login/"), "{}", browser.address());
    assert_eq!(
        browser.style("#header", "background-color"),
        "rgba(65, 118, 144, 1)",
        "the colour that base.css gives the header"
    );
    every_request_succeeded(&browser);

    browser.type_into("#id_username", "admin");
    browser.type_into("#id_password", "opensesame");
    browser.click("input[type=submit]");
    browser.wait_for_text("Site administration");
    every_request_succeeded(&browser);
    keep_picture(&browser, "demo-admin.png");

    let letter = directory.write("letter.txt", "dear reader");
    browser.go_to(&site.url("/"));
    browser.type_into("input[type=file]", &letter.display().to_string());
    browser.click("[type=submit]");
    browser.wait_for_text("letter");
    every_request_succeeded(&browser);
    keep_picture(&browser, "demo-upload.png");
}

#[test]
fn what_is_said_in_one_window_is_read_in_the_other_whether_encrypted_or_not() {
    let Some(browser) = browser("what_is_said_in_one_window_is_read_in_the_other_whether_encrypted_or_not") else {
        return;
    };
    let directory = demo();
    let https = free_port().to_string();
    let site = serve(&directory, &["--https-port", &https, "--self-signed"]);
    let pages = [site.url("/chat/"), format!("https://127.0.0.1:{https}/chat/")];
    let windows = pages.each_ref().map(|page| {
        let window = browser.open_window();
        browser.go_to(page);
        browser.wait_for_text("connected");
        window
    });
    for (window, name) in windows.iter().zip(["Ada", "Grace"]) {
        browser.turn_to(window);
        browser.type_into("[name=visitor]", name);
        browser.type_into("[name=words]", "hello, caf\u{e9}");
        browser.click("[type=submit]");
    }
    for window in &windows {
        browser.turn_to(window);
        browser.wait_for_text("Ada: hello, caf\u{e9}");
        browser.wait_for_text("Grace: hello, caf\u{e9}");
    }
    every_request_succeeded(&browser);
    keep_picture(&browser, "demo-chat.png");
}

/// Neither an answer over the network nor the browser's own log tells of a failure since the last call. The site's icon
/// does not count: the browser asks for it although no page refers to one.
#[track_caller]
fn every_request_succeeded(browser: &Browser) {
    let answers = browser.network();
    assert!(!answers.is_empty(), "the browser asked for nothing");
    let failed: Vec<_> = answers.iter().filter(|(status, url)| *status >= 400 && !url.ends_with(ICON)).collect();
    assert!(failed.is_empty(), "{failed:?}");
    let errors: Vec<_> = browser.errors().into_iter().filter(|error| !error.contains(ICON)).collect();
    assert!(errors.is_empty(), "{errors:?}");
}

/// Keeps a picture of the page as an artefact in the root of the repository.
fn keep_picture(browser: &Browser, name: &str) {
    let directory = repository().join("artifacts");
    let kept = fs::create_dir_all(&directory).and_then(|()| fs::write(directory.join(name), browser.screenshot()));
    if let Err(e) = kept {
        cannot_run("a picture of the demo", &format!("the picture {name} is not kept: {}: {e}", directory.display()));
    }
}
