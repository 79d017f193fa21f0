//! Panics while Apache asks a script who may come in.

use harness::{Builder, Site, basic, module};

use crate::place::Place;

/// Answers every question, and looks at all that it is given.
const SCRIPT: &str = r#"
def check_password(environ, user, password):
    environ["mod_ssl.is_https"]()
    environ["mod_ssl.var_lookup"]("HTTPS")
    return True

def get_realm_hash(environ, user, realm):
    return "0" * 32

def groups_for_user(environ, user):
    return ["staff"]
"#;

fn server(place: &Place) -> Builder {
    let modules = ["auth_basic", "auth_digest"]
        .map(|name| format!("LoadModule {name}_module {}\n", module(name).expect("a module of Apache's").display()));
    place
        .server("threads=1")
        .conf(&modules.concat())
        .conf("<Location /page.txt>\nAuthType Basic\nAuthName test\nAuthBasicProvider wsgi\nRequire wsgi-group staff")
        .conf("WSGIAuthUserScript {apps}/auth.py\nWSGIAuthGroupScript {apps}/auth.py process-group=site\n</Location>")
        .conf("<Location /digest.txt>\nAuthType Digest\nAuthName test\nAuthDigestProvider wsgi\nRequire valid-user")
        .conf("WSGIAuthUserScript {apps}/auth.py\n</Location>")
        .app("auth.py", SCRIPT)
        .file("htdocs/page.txt", "a page")
        .file("htdocs/digest.txt", "a page")
}

#[test]
fn a_panic_while_somebody_is_being_asked_for_lets_nobody_in() {
    let Some(place) = Place::new("panics in access control") else { return };
    let site = server(&place).start();
    site.log.expect(&["Exception in check_password()"]);
    let visit = || site.request("GET", "/page.txt", &[("Authorization", &basic("spy", "x"))], b"").status;
    assert_eq!(visit(), 200, "{}", site.log.text());
    let refusing = [
        "check_password",
        "check_authorization",
        "access_checker",
        "a request",
        "request: begins",
        "mod_wsgi.Auth.is_https",
        "mod_wsgi.Auth.var_lookup",
    ];
    for at in refusing {
        place.panic_in(at);
        assert_eq!(visit(), 500, "{at}");
        place.is_told(at, &site);
        assert_eq!(visit(), 200, "after {at}: {}", site.log.text());
    }
    // The question is answered when its objects go.
    place.panic_in("mod_wsgi.Auth.tp_dealloc");
    assert_eq!(visit(), 200, "{}", site.log.text());
    place.is_told("mod_wsgi.Auth.tp_dealloc", &site);
    site.finish();
}

#[test]
fn a_panic_while_a_digest_is_asked_for_lets_nobody_in() {
    let Some(place) = Place::new("panics in digests") else { return };
    let site = server(&place).start();
    let visit = || {
        let challenge = site.get("/digest.txt");
        let challenge = challenge.header("www-authenticate").expect("a challenge").to_owned();
        let nonce = challenge.split("nonce=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a nonce");
        let header = format!(
            "Digest username=\"spy\", realm=\"test\", nonce=\"{nonce}\", uri=\"/digest.txt\", algorithm=MD5, qop=auth, \
             nc=00000001, cnonce=\"chance\", response=\"{}\"",
            "0".repeat(32)
        );
        site.request("GET", "/digest.txt", &[("Authorization", &header)], b"").status
    };
    assert_eq!(visit(), 401, "a wrong one: {}", site.log.text());
    place.panic_in("get_realm_hash");
    assert_eq!(visit(), 500);
    place.is_told("get_realm_hash", &site);
    assert_eq!(visit(), 401);
    site.finish();
}
