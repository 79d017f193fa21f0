//! Scripts that decide who may come in: where they run, what they are told, and that nothing but their own word lets
//! anybody in.

use harness::{Builder, Httpd, Site, basic, module, product};

/// Where a script is asked: what it names, and the name that it is told.
const PLACES: [(&str, &str); 2] = [("", ""), (" process-group=gate", "gate")];

/// Names who came.
const WHO: &str = r#"
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(environ.get("REMOTE_USER")).encode("latin-1")]
"#;

/// Lines that load modules of Apache which the harness does not.
fn load(names: &[&str]) -> String {
    let line = |name: &&str| Some(format!("LoadModule {name}_module {}\n", module(name)?.display()));
    names.iter().filter_map(line).collect()
}

/// A server with a page, an application that names its user, and the group `gate`.
pub(crate) fn server() -> Builder {
    Httpd::builder()
        .conf("WSGIDaemonProcess gate threads=3\nWSGIDaemonProcess site")
        .conf("WSGIScriptAlias /who {apps}/who.wsgi process-group=site application-group=%{GLOBAL}")
        .app("who.wsgi", WHO)
        .file("htdocs/page.txt", "a page")
        .file("htdocs/open.txt", "open")
        .conf(&load(&["auth_basic", "authn_file", "access_compat"]))
}

/// The directives that ask for a password everywhere; `more` stands beside them.
pub(crate) fn passwords(place: &str, more: &str) -> String {
    let provider = if more.contains("Provider ") { "" } else { "AuthBasicProvider wsgi" };
    format!(
        "<Location />\nAuthType Basic\nAuthName test\n{provider}\nWSGIAuthUserScript {{apps}}/auth.py{place}\n{more}\n</Location>"
    )
}

/// The status and the text of an answer to somebody with a password.
pub(crate) fn visit(site: &Httpd, path: &str, user: &str, password: &str) -> (u16, String) {
    let answer = site.request("GET", path, &[("Authorization", &basic(user, password))], b"");
    let text = if answer.status == 200 { answer.text() } else { String::new() };
    (answer.status, text)
}

fn status(site: &Httpd, user: &str) -> u16 {
    visit(site, "/page.txt", user, "secret").0
}

#[test]
fn only_true_or_none_of_an_access_script_lets_a_request_go_on() {
    const SCRIPT: &str = "def allow_access(environ, host):\n    return eval(environ['QUERY_STRING'])\n";
    for (place, _) in PLACES {
        let guard = format!("<Location /page.txt>\nWSGIAccessScript {{apps}}/access.py{place}\n</Location>");
        let site = server().conf(&guard).app("access.py", SCRIPT).start();
        site.log.expect(&["WSGI0057: client denied by WSGIAccessScript", "WSGI1211: Exception in allow_access()"]);
        for (result, expected) in
            [("True", 200), ("None", 200), ("False", 403), ("1", 403), ("'yes'", 403), ("1/0", 403), ("exit(0)", 403)]
        {
            let answer = site.get(&format!("/page.txt?{result}"));
            assert_eq!(answer.status, expected, "{place} {result}: {answer:?}");
            assert_eq!(answer.text() == "a page", expected == 200, "{place} {result}");
            assert_eq!(site.get("/open.txt").text(), "open");
        }
        assert_eq!(site.log.records_with("WSGI0057: client denied by WSGIAccessScript").len(), 1);
        let record = &site.log.records_with("ZeroDivisionError")[0];
        assert!(
            record.contains("Exception in allow_access() for '/page.txt' in script '") && record.contains("[client"),
            "{record}"
        );
        assert!(!site.log.records_with("must return True, False or None, not int").is_empty());
        site.finish();
    }
}

#[test]
fn a_broken_access_script_lets_nobody_in_until_it_is_whole_again() {
    const ALLOWS: &str = "def allow_access(environ, host):\n    return True\n";
    for (place, _) in PLACES {
        let guard = format!("<Location />\nWSGIAccessScript {{apps}}/access.py{place}\n</Location>");
        let site = server().conf(&guard).start();
        site.log.expect(&["access.py", "WSGI0057: client denied"]);
        assert_eq!(site.get("/page.txt").status, 403, "{place}: there is none");
        site.write("apps/access.py", ALLOWS);
        assert_eq!(site.get("/page.txt").status, 200, "{place}");
        for (broken, said) in [
            ("def allow_access(\n", "SyntaxError"),
            ("import no_such_module\n", "No module named 'no_such_module'"),
            ("def other(): pass\n", "does not contain the function 'allow_access'"),
        ] {
            site.write("apps/access.py", broken);
            assert_eq!(site.get("/page.txt").status, 403, "{place} {broken}");
            site.log.wait_for(said);
            site.write("apps/access.py", ALLOWS);
            assert_eq!(site.get("/page.txt").status, 200, "{place}");
        }
        site.finish();
    }
}

#[test]
fn an_access_script_is_told_of_the_request_and_nothing_of_others() {
    const SCRIPT: &str = r#"
import json
kept = []
def allow_access(environ, host):
    if kept:
        try:
            kept[0]()
        except RuntimeError as error:
            print("expired:", error, file=environ["wsgi.errors"])
    kept[:] = [environ["mod_ssl.is_https"]]
    told = {name: str(value) for name, value in environ.items() if isinstance(value, (str, tuple))}
    told |= {"host": host, "https": environ["mod_ssl.is_https"](), "tls": environ["mod_ssl.var_lookup"]("HTTPS")}
    told |= {"input": "wsgi.input" in environ, "name": __name__}
    print("told:" + json.dumps(told), file=environ["wsgi.errors"])
    return True
"#;
    for (place, group) in PLACES {
        let guard = format!(
            "SetEnv OURS 1\n<Location /page.txt>\nCGIPassAuth On\nWSGIAccessScript {{apps}}/access.py application-group=own{place}\n</Location>"
        );
        let site = server().conf(&guard).app("access.py", SCRIPT).start();
        site.log.expect(&["told:", "expired:"]);
        let headers = [
            ("X-Key", "open"),
            ("Proxy", "http://evil"),
            ("Authorization", &*basic("spy", "secret")),
            ("X_Forged", "1"),
        ];
        for _ in 0..2 {
            assert_eq!(site.request("GET", "/page.txt?a=%20b", &headers, b"").status, 200);
        }
        let record = site.log.records_with("told:").remove(0);
        let json = record
            .split_once("told:")
            .and_then(|(_, rest)| Some(&rest[..=rest.rfind('}')?]))
            .expect("what it was told");
        let told: serde_json::Value =
            serde_json::from_str(&json.replace("\\\"", "\"")).unwrap_or_else(|e| panic!("{e}: {json}"));
        for (name, value) in [
            ("REQUEST_METHOD", "GET"),
            ("REQUEST_URI", "/page.txt?a=%20b"),
            ("QUERY_STRING", "a=%20b"),
            ("SCRIPT_NAME", "/page.txt"),
            ("PATH_INFO", ""),
            ("HTTP_X_KEY", "open"),
            ("REMOTE_ADDR", "127.0.0.1"),
            ("SERVER_PROTOCOL", "HTTP/1.1"),
            ("mod_wsgi.process_group", group),
            ("mod_wsgi.application_group", "own"),
            ("host", "127.0.0.1"),
            ("SERVER_SIGNATURE", ""),
        ] {
            assert_eq!(told[name], value, "{place} {name}: {told}");
        }
        for name in [
            "HTTP_AUTHORIZATION",
            "HTTP_PROXY",
            "HTTP_X_FORGED",
            "OURS",
            "REMOTE_USER",
            "mod_wsgi.callable_object",
            "PATH",
        ] {
            assert!(told[name].is_null(), "{place} {name}: {told}");
        }
        assert_eq!(
            (&told["https"], &told["tls"], &told["input"]),
            (&0.into(), &serde_json::Value::Null, &false.into())
        );
        assert!(told["name"].as_str().is_some_and(|name| name.starts_with("_mod_wsgi_")), "{told}");
        site.log.wait_for("expired: request object has expired");
        site.finish();
    }
}

#[test]
fn a_password_is_right_only_if_the_script_says_so() {
    const SCRIPT: &str = "def check_password(environ, user, password):\n    return eval(password)\n";
    for (place, _) in PLACES {
        let site = server().conf(&passwords(place, "Require valid-user")).app("auth.py", SCRIPT).start();
        site.log.expect(&["WSGI1211: Exception in check_password()"]);
        for (result, expected, who) in [
            ("True", 200, "spy"),
            (r"'kanonisch-\u00e9'", 200, "kanonisch-é"),
            ("False", 401, ""),
            ("None", 401, ""),
            ("''", 500, ""),
            ("1", 500, ""),
            ("b'x'", 500, ""),
            ("'a\\nb'", 500, ""),
            ("'root\\0x'", 500, ""),
            ("'x' * 2000", 500, ""),
            ("1/0", 500, ""),
        ] {
            let (status, text) = visit(&site, "/who", "spy", result);
            assert_eq!((status, &*text), (expected, who), "{place} {result}");
        }
        assert_eq!(site.get("/who").header("www-authenticate"), Some("Basic realm=\"test\""));
        assert_eq!(site.get("/page.txt").status, 401, "files are protected as well");
        for said in [
            "a text is empty",
            "has a control character",
            "is longer than 1024 bytes",
            "the name of the user, not bytes",
        ] {
            assert!(!site.log.records_with(said).is_empty(), "{said}");
        }
        site.finish();
    }
}

#[test]
fn the_next_provider_is_asked_about_users_that_the_script_does_not_know_and_no_others() {
    const SCRIPT: &str = r#"
def check_password(environ, user, password):
    return {"known": True, "barred": False, "boom": 1}.get(user)
"#;
    // The password of each is `secret`.
    let hash = "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=";
    let file: String = ["other", "barred", "boom"].map(|user| format!("{user}:{hash}\n")).concat();
    for (place, _) in PLACES {
        let more = "AuthUserFile {root}/users\nAuthBasicProvider wsgi file\nRequire valid-user";
        let site = server().conf(&passwords(place, more)).app("auth.py", SCRIPT).file("users", &file).start();
        site.log.expect(&["WSGI1211: Exception in check_password()"]);
        let users = ["known", "other", "barred", "boom", "nobody"];
        assert_eq!(users.map(|user| status(&site, user)), [200, 200, 401, 500, 401], "{place}");
        site.finish();
    }
}

#[test]
fn digests_are_compared_with_what_the_script_gives() {
    const SCRIPT: &str = r#"
import hashlib
def get_realm_hash(environ, user, realm):
    if user == "boom":
        raise RuntimeError("no digest")
    digest = hashlib.md5(f"{user}:{realm}:secret".encode()).hexdigest()
    return {"spy": digest, "bytes": digest.encode(), "empty": "", "number": 5}.get(user)
"#;
    let md5 = |text: &str| product().python(&format!("__import__('hashlib').md5({text:?}.encode()).hexdigest()"));
    for (place, _) in PLACES {
        let guard = passwords(place, "AuthType Digest\nAuthDigestProvider wsgi\nRequire valid-user");
        let site = server().conf(&(load(&["auth_digest"]) + &guard)).app("auth.py", SCRIPT).start();
        site.log.expect(&["WSGI1211: Exception in get_realm_hash()"]);
        let visit = |user: &str, password: &str| {
            let challenge = site.get("/who");
            let challenge = challenge.header("www-authenticate").expect("a challenge").to_owned();
            let nonce = challenge.split("nonce=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a nonce");
            let (one, two) = (md5(&format!("{user}:test:{password}")), md5("GET:/who"));
            let response = md5(&format!("{one}:{nonce}:00000001:chance:auth:{two}"));
            let header = format!(
                "Digest username=\"{user}\", realm=\"test\", nonce=\"{nonce}\", uri=\"/who\", algorithm=MD5, qop=auth, \
                 nc=00000001, cnonce=\"chance\", response=\"{response}\""
            );
            site.request("GET", "/who", &[("Authorization", &header)], b"")
        };
        assert_eq!(visit("spy", "secret").text(), "spy", "{place}: {}", site.log.text());
        assert_eq!(visit("bytes", "secret").text(), "bytes");
        assert_eq!([visit("spy", "wrong").status, visit("nobody", "secret").status], [401, 401]);
        assert_eq!(["boom", "empty", "number"].map(|user| visit(user, "secret").status), [500, 500, 500]);
        site.finish();
    }
}

#[test]
fn a_login_form_asks_the_script() {
    const SCRIPT: &str = "def check_password(environ, user, password):\n    return password == 'secret' or None\n";
    let modules = load(&["request", "auth_form", "session", "session_cookie"]);
    for (place, _) in PLACES {
        let site = server()
            .conf(&modules)
            .conf(&format!(
                "<Location /who>\nAuthType Form\nAuthName test\nAuthFormProvider wsgi\nSession On\nSessionCookieName login path=/\n\
                 AuthFormLoginRequiredLocation /open.txt\nWSGIAuthUserScript {{apps}}/auth.py{place}\nRequire valid-user\n</Location>\n\
                 <Location /login>\nSetHandler form-login-handler\nAuthType Form\nAuthName test\nAuthFormProvider wsgi\n\
                 AuthFormLoginSuccessLocation /who\nSession On\nSessionCookieName login path=/\n\
                 WSGIAuthUserScript {{apps}}/auth.py{place}\n</Location>"
            ))
            .app("auth.py", SCRIPT)
            .start();
        let login = |password: &str| {
            let form = format!("httpd_username=spy&httpd_password={password}");
            let form_type = ("Content-Type", "application/x-www-form-urlencoded");
            site.request("POST", "/login", &[form_type], form.as_bytes())
        };
        let known = login("secret");
        let cookie = known.header("set-cookie").unwrap_or_else(|| panic!("{place}: {known:?}: {}", site.log.text()));
        let cookie = cookie.split(';').next().expect("a cookie").to_owned();
        assert_eq!(site.request("GET", "/who", &[("Cookie", &cookie)], b"").text(), "spy");
        assert_ne!(site.get("/who").text(), "None", "nobody comes in without");
        assert_eq!(login("wrong").status, 401);
        let forged = cookie.replace("secret", "wrong");
        assert_ne!(site.request("GET", "/who", &[("Cookie", &forged)], b"").status, 200);
        site.finish();
    }
}

#[test]
fn what_the_cache_remembers_the_script_is_not_asked_again() {
    const SCRIPT: &str = r#"
def check_password(environ, user, password):
    print("asked about", user, file=environ["wsgi.errors"])
    return "canonical" if user == "alias" else password in ("secret", "71" * 35 + "!", "72" * 36)
"#;
    for (place, _) in PLACES {
        let site = server()
            .conf(&load(&["authn_socache", "socache_shmcb"]))
            .conf("AuthnCacheSOCache shmcb")
            .conf(&passwords(place, "AuthnCacheProvideFor wsgi\nAuthBasicProvider socache wsgi\nRequire valid-user"))
            .app("auth.py", SCRIPT)
            .start();
        site.log.expect(&["asked about"]);
        for _ in 0..3 {
            assert_eq!(visit(&site, "/who", "spy", "secret"), (200, "spy".to_owned()), "{place}");
        }
        assert_eq!(site.log.records_with("asked about spy").len(), 1, "{place}: {}", site.log.text());
        assert_eq!(visit(&site, "/who", "spy", "wrong").0, 401);
        // Who is remembered would come in under the name that the client has given.
        for _ in 0..2 {
            assert_eq!(visit(&site, "/who", "alias", "secret"), (200, "canonical".to_owned()), "{place}");
        }
        // Bcrypt does not look beyond 72 bytes: what begins like a right password is another one.
        for (user, right, times) in [("long", "71".repeat(35) + "!", 1), ("longer", "72".repeat(36), 2)] {
            for _ in 0..2 {
                assert_eq!(visit(&site, "/who", user, &right).0, 200, "{place}");
            }
            assert_eq!(site.log.records_with(&format!("asked about {user}")).len(), times, "{place} {user}");
            assert_eq!(visit(&site, "/who", user, &format!("{right}forged")).0, 401, "{place} {user}");
        }
        site.finish();
    }
}

const EVERYBODY: &str = "def check_password(environ, user, password):\n    return True\n";

const GROUPS: &str = r#"
def groups_for_user(environ, user):
    def breaks():
        yield "agents"
        raise RuntimeError("no more groups")
    def endless():
        while True:
            yield "x"
    return {"spy": ["staff", b"agents"], "set": {"agents"}, "guest": [], "large": ["AGENTS"], "text": "agents", "none": None,
            "number": [5], "breaks": breaks(), "endless": endless()}.get(user, ())
"#;

#[test]
fn a_user_is_let_in_for_a_group_that_the_script_names() {
    for (place, _) in PLACES {
        let more = format!("WSGIAuthGroupScript {{apps}}/groups.py{place}\nRequire wsgi-group other agents");
        let site = server().conf(&passwords(place, &more)).app("auth.py", EVERYBODY).app("groups.py", GROUPS).start();
        site.log.expect(&["WSGI1211: Exception in groups_for_user()"]);
        let let_in = ["spy", "set"].map(|user| status(&site, user));
        assert_eq!(let_in, [200, 200], "{place}: {}", site.log.text());
        assert_eq!(["guest", "nobody", "large"].map(|user| status(&site, user)), [401, 401, 401], "{place}");
        for user in ["text", "none", "number", "breaks", "endless"] {
            assert_eq!(status(&site, user), 500, "{place} {user}");
        }
        assert_eq!(site.get("/page.txt").status, 401);
        site.log.wait_for("user guest is in none of the groups other agents");
        site.log.wait_for("there are more than 4096 groups");
        site.finish();
    }
}

#[test]
fn groups_stand_beside_other_requirements() {
    for (place, _) in PLACES {
        let script = format!("WSGIAuthGroupScript {{apps}}/groups.py{place}");
        let protect = |path: &str, require: &str| {
            format!(
                "<Location {path}>\nAuthType Basic\nAuthName test\nAuthBasicProvider wsgi\n\
                 WSGIAuthUserScript {{apps}}/auth.py{place}\n{script}\n{require}\n</Location>"
            )
        };
        let site = server()
            .conf(&protect("/any", "<RequireAny>\nRequire wsgi-group agents\nRequire ip 192.0.2.1\n</RequireAny>"))
            .conf(&protect("/address", "<RequireAny>\nRequire ip 127.0.0.1\nRequire wsgi-group agents\n</RequireAny>"))
            .conf(&protect("/all", "<RequireAll>\nRequire ip 127.0.0.1\nRequire wsgi-group agents\n</RequireAll>"))
            .conf(&protect("/not", "<RequireAll>\nRequire valid-user\nRequire not wsgi-group agents\n</RequireAll>"))
            .conf("Alias /any {root}/htdocs/page.txt\nAlias /address {root}/htdocs/page.txt")
            .conf("Alias /all {root}/htdocs/page.txt\nAlias /not {root}/htdocs/page.txt")
            .app("auth.py", EVERYBODY)
            .app("groups.py", GROUPS)
            .start();
        site.log.expect(&["WSGI1211: Exception in groups_for_user()"]);
        let visit = |path: &str| ["spy", "guest", "breaks"].map(|user| visit(&site, path, user, "secret").0);
        assert_eq!(visit("/any"), [200, 401, 500], "{place}");
        assert_eq!(visit("/address"), [200, 200, 200], "{place}: the address is enough");
        assert_eq!(site.get("/address").status, 200);
        assert_eq!(visit("/all"), [200, 401, 500], "{place}");
        assert_eq!(visit("/not"), [401, 200, 500], "{place}: an error is no denial that could be turned round");
        site.finish();
    }
}

#[test]
fn a_line_without_groups_is_a_mistake() {
    let (fine, text) = server().conf("<Location />\nRequire wsgi-group\n</Location>").check();
    assert!(!fine && text.contains("takes the names of groups"), "{text}");
}

#[test]
fn either_the_script_or_a_password_satisfies_any() {
    const ACCESS: &str = "def allow_access(environ, host):\n    return eval(environ['QUERY_STRING'] or 'False')\n";
    const USERS: &str = "def check_password(environ, user, password):\n    return password == 'secret'\n";
    for (place, _) in PLACES {
        let more = format!("WSGIAccessScript {{apps}}/access.py{place}\nRequire valid-user\nSatisfy Any");
        let site = server().conf(&passwords(place, &more)).app("access.py", ACCESS).app("auth.py", USERS).start();
        site.log.expect(&["WSGI1211: Exception in allow_access()"]);
        let visit = |path: &str, password: &str| visit(&site, path, "spy", password).0;
        assert_eq!(site.get("/page.txt?True").status, 200, "{place}: {}", site.log.text());
        assert_eq!([visit("/page.txt?False", "secret"), visit("/page.txt?False", "wrong")], [200, 401], "{place}");
        assert_eq!([visit("/page.txt?1/0", "secret"), visit("/page.txt?1/0", "wrong")], [200, 401], "{place}");
        assert_eq!(site.get("/page.txt?1/0").status, 401, "{place}");
        site.finish();
    }
}

#[test]
fn scripts_of_one_application_group_share_an_interpreter() {
    let remembers =
        "import sys\ndef check_password(environ, user, password):\n    sys.last_user = user\n    return True\n";
    let tells = r#"
import sys
def application(environ, start_response):
    start_response("200 OK", [])
    return [getattr(sys, "last_user", "nobody").encode()]
"#;
    for (place, application) in [("", "%{GLOBAL}"), (" process-group=gate", "gate")] {
        let site = server()
            .conf(&passwords(&format!("{place} application-group=shared"), "Require valid-user"))
            .conf(&format!(
                "WSGIScriptAlias /tells {{apps}}/tells.wsgi process-group={application} application-group=shared"
            ))
            .conf(&format!(
                "WSGIScriptAlias /other {{apps}}/tells.wsgi process-group={application} application-group=other"
            ))
            .app("auth.py", remembers)
            .app("tells.wsgi", tells)
            .start();
        assert_eq!(visit(&site, "/tells", "spy", "x").1, "spy", "{place}");
        assert_eq!(visit(&site, "/other", "spy", "x").1, "nobody", "{place}");
        site.finish();
    }
}

#[test]
fn an_htaccess_file_names_a_script_but_no_group() {
    const ALLOWS: &str = "def allow_access(environ, host):\n    return environ['QUERY_STRING'] == 'open'\n";
    let site = server().app("access.py", ALLOWS).start();
    site.log.expect(&["WSGI0057: client denied"]);
    let script = site.root().join("apps/access.py").display().to_string();
    site.write("htdocs/.htaccess", &format!("WSGIAccessScript {script}\n"));
    assert_eq!([site.get("/page.txt?open").status, site.get("/page.txt").status], [200, 403]);
    site.write("htdocs/.htaccess", &format!("WSGIAccessScript {script} process-group=site\n"));
    assert_eq!(site.get("/page.txt?open").status, 500);
    assert!(site.log.text().contains("process-group is not for .htaccess"), "{}", site.log.text());
    site.finish();
}

#[test]
fn what_apache_serves_in_the_course_of_a_request_is_asked_about_too() {
    const SCRIPT: &str =
        "def allow_access(environ, host):\n    return not environ['SCRIPT_NAME'].startswith('/secret')\n";
    const LEADS: &str = r#"
def application(environ, start_response):
    location = [("Location", "/secret.txt")] if environ["QUERY_STRING"] else []
    start_response("200 OK", [("Content-Type", "text/html"), *location])
    return [b'[<!--#include virtual="/secret.txt" -->][<!--#include virtual="/open.txt" -->]']
"#;
    for (place, _) in PLACES {
        let site = server()
            .conf(&format!("<Location />\nWSGIAccessScript {{apps}}/access.py{place}\n</Location>"))
            .conf("AddType text/html .shtml\nAddOutputFilter INCLUDES .shtml\nOptions +Includes")
            .conf("DirectoryIndex secret.txt\nErrorDocument 404 /secret.txt")
            .conf("RewriteEngine On\nRewriteRule ^/rewritten$ /secret.txt [PT]")
            .conf("WSGIScriptAlias /leads {apps}/leads.wsgi process-group=site application-group=%{GLOBAL}")
            .conf("<Location /leads>\nSetOutputFilter INCLUDES\n</Location>")
            .app("access.py", SCRIPT)
            .app("leads.wsgi", LEADS)
            .file("htdocs/secret.txt", "hidden")
            .file(
                "htdocs/page.shtml",
                "[<!--#include virtual=\"/secret.txt\" -->][<!--#include virtual=\"/open.txt\" -->]",
            )
            .start();
        site.log.expect(&["WSGI0057: client denied"]);
        for path in ["/secret.txt", "/rewritten", "/", "/nothing", "/leads?location"] {
            let answer = site.get(path);
            assert!(answer.status >= 400 && !answer.text().contains("hidden"), "{place} {path}: {answer:?}");
        }
        for path in ["/page.shtml", "/leads"] {
            let text = site.get(path).text();
            assert!(text.ends_with("][open]") && !text.contains("hidden"), "{place} {path}: {text}");
        }
        site.finish();
    }
}
