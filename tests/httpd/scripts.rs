//! Script files as modules.

use harness::{Httpd, PROBE, Site};

#[test]
fn a_script_is_a_module_named_after_its_path() {
    let site = Httpd::probe("");
    let name = "'_mod_wsgi_' + __import__('hashlib').md5(__file__.encode()).hexdigest()";
    assert_eq!(site.ask(&format!("__name__ == {name} and __name__ in sys.modules")), true);
    assert_eq!(site.ask("__mtime__ == os.stat(__file__).st_mtime_ns // 1000"), true);
    assert_eq!(site.ask("__file__.endswith('/site.wsgi') and __cached__ is None"), true);
    // Nothing of the engine's own is in the way of `import *` or of those who look for scripts.
    let modules = "(sys.modules[__name__], sys.modules['mod_wsgi'], sys.modules['apache'])";
    assert_eq!(site.ask(&format!("any(hasattr(m, '__all__') for m in {modules})")), false);
    assert_eq!(site.ask("len([m for m in sys.modules if m.startswith('_mod_wsgi_')])"), 1);
    site.finish();
}

#[test]
fn text_after_a_nul_is_ignored_and_encodings_are_honoured() {
    let script = format!(
        "# -*- coding: latin-1 -*-\nword = b'caf\\xe9'.decode('latin-1')\n{PROBE}\nx = 1\n\0 this is no Python"
    );
    let site = Httpd::site("", &script).start();
    assert_eq!(site.ask("[x, word]")[0], 1);
    site.finish();
}

#[test]
fn reload_required_is_asked_about_the_file_that_the_request_is_for() {
    let asked = "asked = []\ndef reload_required(resource):\n    asked.append(resource)\n";
    let handler = format!("{asked}{}", PROBE.replace("def application(", "def handle_request("));
    let site = Httpd::builder()
        .conf("WSGIDaemonProcess g\nWSGIProcessGroup g\nWSGIScriptAlias /script {apps}/script.wsgi")
        .conf("WSGIHandlerScript special {apps}/handler.wsgi\n<Files page.txt>\nSetHandler special\n</Files>")
        .app("script.wsgi", &format!("{asked}{PROBE}"))
        .app("handler.wsgi", &handler)
        .file("htdocs/page.txt", "page")
        .start();
    for (path, file) in [("/script", "/apps/script.wsgi"), ("/page.txt", "/htdocs/page.txt")] {
        site.ask_at(path, "1");
        let last = site.ask_at(path, "asked[-1]");
        assert!(last.as_str().is_some_and(|last| last.ends_with(file)), "{path}: {last}");
    }
    site.finish();
}

#[test]
fn loading_a_script_holds_up_nobody_but_those_who_want_it() {
    let site = Httpd::builder()
        .conf("WSGIDaemonProcess g threads=3\nWSGIProcessGroup g")
        .conf("WSGIScriptAlias /slow {apps}/slow.wsgi\nWSGIScriptAlias /quick {apps}/quick.wsgi")
        .conf("WSGIApplicationGroup same")
        .app("slow.wsgi", &format!("import time\nprint('it loads', flush=True)\ntime.sleep(1)\n{PROBE}"))
        .app("quick.wsgi", PROBE)
        .start();
    site.ask_at("/quick", "1");
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| site.ask_at("/slow", "1"));
        site.log.wait_for("it loads");
        let begun = std::time::Instant::now();
        assert_eq!(site.ask_at("/quick", "2"), 2);
        assert!(begun.elapsed() < harness::in_time(std::time::Duration::from_millis(500)), "{:?}", begun.elapsed());
        assert_eq!(slow.join().unwrap(), 1);
    });
    site.finish();
}
