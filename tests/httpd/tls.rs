//! What scripts hear of the encryption of a client's connection.

use harness::{Httpd, Scratch, cannot_run, free_port, module};
use std::process::Command;

#[test]
fn a_script_hears_of_the_tls_connection_wherever_it_runs() {
    const SCRIPT: &str = r#"
def allow_access(environ, host):
    ask = environ["mod_ssl.var_lookup"]
    told = [ask(name) for name in ("SSL_PROTOCOL", "SSL_SERVER_S_DN_CN", "SSL_NOTHING", "HTTPS")]
    if environ["mod_wsgi.process_group"]:
        told += [ask("ENV:PATH"), ask("S" * 1000)]
    print("told", environ["mod_ssl.is_https"](), told, file=environ["wsgi.errors"])
    return told[0].startswith("TLSv1.")
"#;
    let test = "a_script_hears_of_the_tls_connection_wherever_it_runs";
    let Some(ssl) = module("ssl") else { return cannot_run(test, "needs mod_ssl") };
    let directory = Scratch::new();
    let [key, certificate] = ["key.pem", "certificate.pem"].map(|name| directory.path().join(name));
    let words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
    let mut make = Command::new("openssl");
    make.args(words).args(["-subj", "/CN=secure.example"]).arg("-keyout").arg(&key).arg("-out").arg(&certificate);
    let made = make.output();
    if !made.is_ok_and(|made| made.status.success()) || Command::new("curl").arg("--version").output().is_err() {
        return cannot_run(test, "needs openssl and curl");
    }
    for (place, group) in [("", ""), (" process-group=gate", "gate")] {
        let port = free_port();
        let site = Httpd::builder()
            .app("access.py", SCRIPT)
            .file("htdocs/page.txt", "a page")
            .conf("WSGIDaemonProcess gate threads=3")
            .conf(&format!(
                "LoadModule ssl_module {}\nListen 127.0.0.1:{port}\nSSLRandomSeed startup builtin\n\
                 <VirtualHost *:{port}>\nServerName secure.example\nSSLEngine on\nSSLCertificateFile {}\n\
                 SSLCertificateKeyFile {}\n<Location /page.txt>\nWSGIAccessScript {{apps}}/access.py{place}\n\
                 </Location>\n</VirtualHost>",
                ssl.display(),
                certificate.display(),
                key.display()
            ))
            .expect_log(&["told 1"])
            .start();
        for _ in 0..3 {
            let asked = Command::new("curl").args(["-sk", &format!("https://127.0.0.1:{port}/page.txt")]).output();
            assert_eq!(String::from_utf8_lossy(&asked.expect("curl runs").stdout), "a page", "{place}");
        }
        let log = site.log.wait_for("told 1");
        let more = if group.is_empty() { "" } else { ", None, None" };
        assert!(log.contains(&format!("'secure.example', '', 'on'{more}]")), "{place}: {log}");
        site.finish();
    }
}
