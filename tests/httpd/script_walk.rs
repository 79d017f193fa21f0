//! What an alias names as a script is looked up without what follows it in the URL. Whatever the configuration says
//! about directories and files means the same then: each case is asked for through an alias of this kind, and through a
//! `WSGIScriptAliasMatch`, whose file names Apache takes apart itself.

use std::os::unix::fs::symlink;

use harness::{Httpd, Site};

const SEEN: &str = r#"
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    names = ["PATH_INFO", "SCRIPT_FILENAME", "MARK", "HT"]
    return [repr([environ.get(name) for name in names]).encode()]
"#;

/// Directories, and what the configuration says about them.
const CASES: &[(&str, &str)] = &[
    ("plain", ""),
    ("directory", "<Directory {apps}/directory>\nSetEnv MARK directory\n</Directory>"),
    ("denied", "<Directory {apps}/denied>\nRequire all denied\n</Directory>"),
    ("script", "<Directory {apps}/script/site.wsgi>\nSetEnv MARK script\n</Directory>"),
    ("below", "<Directory {apps}/below/site.wsgi/x>\nRequire all denied\n</Directory>"),
    (
        "wild",
        "<Directory {apps}/wil*>\nSetEnv MARK wild\n</Directory>\n<Directory {apps}/wild/*>\nSetEnv MARK wilder\n</Directory>",
    ),
    ("match-script", "<DirectoryMatch \"match-script/site\\.wsgi\">\nSetEnv MARK script\n</DirectoryMatch>"),
    ("match-end", "<DirectoryMatch \"match-end/site\\.wsgi$\">\nRequire all denied\n</DirectoryMatch>"),
    ("match-below", "<DirectoryMatch \"match-below/site\\.wsgi/\">\nRequire all denied\n</DirectoryMatch>"),
    ("match-x", "<DirectoryMatch \"match-x/site\\.wsgi/x\">\nRequire all denied\n</DirectoryMatch>"),
    ("match-directory", "<DirectoryMatch \"match-directory$\">\nSetEnv MARK directory\n</DirectoryMatch>"),
    ("match-slash", "<DirectoryMatch \"match-slash/$\">\nSetEnv MARK slash\n</DirectoryMatch>"),
    (
        "files",
        "<Directory {apps}/files>\n<Files site.wsgi>\nSetEnv MARK files\n</Files>\n<Files x>\nRequire all denied\n</Files>\n</Directory>",
    ),
    (
        "files-match",
        "<Directory {apps}/files-match>\n<FilesMatch \"^x|\\.wsgi$\">\nRequire all denied\n</FilesMatch>\n</Directory>",
    ),
    ("htaccess", "<Directory {apps}/htaccess>\nAllowOverride All\n</Directory>"),
    ("no-htaccess", "<Directory {apps}/no-htaccess>\nAllowOverride None\n</Directory>"),
    ("follow", "<Directory {apps}/follow>\nOptions FollowSymLinks\n</Directory>"),
    ("no-follow", "<Directory {apps}/no-follow>\nOptions None\n</Directory>"),
    ("own-links", "<Directory {apps}/own-links>\nOptions SymLinksIfOwnerMatch\n</Directory>"),
    ("no-follow-directory", "<Directory {apps}>\nOptions -FollowSymLinks\n</Directory>"),
    ("no-path-info", "<Directory {apps}/no-path-info>\nAcceptPathInfo Off\n</Directory>"),
    ("rewrite", "<Directory {apps}/rewrite>\nRewriteEngine On\nRewriteRule x$ - [F]\n</Directory>"),
    (
        "expression",
        "<Directory {apps}/expression>\n<If \"%{REQUEST_FILENAME} =~ /x/ || %{PATH_INFO} =~ /y/\">\nRequire all denied\n</If>\n</Directory>",
    ),
    ("missing", ""),
    ("a-directory", ""),
];

const RESTS: &[&str] = &[
    "",
    "/",
    "/x",
    "/x/",
    "/x/y",
    "/.x",
    "/x.wsgi",
    "//x",
    "/x//y",
    "/%2e",
    "/x%2fy",
    "/a%20b",
    "/site.wsgi",
    "/.htaccess",
];

#[test]
fn rules_for_directories_and_files_mean_the_same_with_and_without_what_follows_a_script() {
    let mut builder = Httpd::builder().conf("WSGIDaemonProcess site threads=3\nWSGIProcessGroup site\nWSGIApplicationGroup %{GLOBAL}\nAllowEncodedSlashes On");
    for (name, rules) in CASES {
        builder = builder.conf(&format!(
            "{rules}\nWSGIScriptAlias /short/{name} {{apps}}/{name}/site.wsgi\nWSGIScriptAliasMatch ^/long/{name}(?=/|$) {{apps}}/{name}/site.wsgi"
        ));
        match *name {
            "missing" => builder = builder.app("missing/other.wsgi", SEEN),
            "a-directory" => builder = builder.app("a-directory/site.wsgi/x", SEEN),
            "follow" | "no-follow" | "own-links" => builder = builder.app(&format!("{name}/real.wsgi"), SEEN),
            "no-follow-directory" => {}
            _ => builder = builder.app(&format!("{name}/site.wsgi"), SEEN),
        }
    }
    for name in ["htaccess", "no-htaccess"] {
        builder =
            builder.app(&format!("{name}/.htaccess"), "SetEnv HT read\n<Files x>\nRequire all denied\n</Files>\n");
    }
    let refusals = ["WSGI1000: ", "WSGI0135: ", "WSGI0136: "];
    let site = builder.expect_log(&refusals).start();
    let apps = site.root().join("apps");
    for name in ["follow", "no-follow", "own-links"] {
        symlink(apps.join(name).join("real.wsgi"), apps.join(name).join("site.wsgi")).expect("a link");
    }
    symlink(apps.join("plain"), apps.join("no-follow-directory")).expect("a link");
    let mut different = Vec::new();
    for (name, _) in CASES {
        for rest in RESTS {
            let ask = |way: &str| {
                let answer =
                    site.client().exchange("GET", &format!("/{way}/{name}{rest}"), &[], b"").expect("an answer");
                (answer.status, if answer.status == 200 { answer.text() } else { String::new() })
            };
            let (short, long) = (ask("short"), ask("long"));
            if short != long {
                different.push(format!("{name}{rest}: {short:?}, but {long:?}"));
            }
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
    assert_eq!(site.get("/short/denied/x").status, 403);
    assert_eq!(site.get("/short/no-follow/x").status, 403);
    assert!(site.get("/short/htaccess/x").text().contains("'read'"));
    site.finish();
}
