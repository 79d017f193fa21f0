//! The page of the documentation that is made of the table of directives.
#![forbid(unsafe_code)]

use super::DIRECTIVES;
use super::directive::Context;

const HEAD: &str = "# Directives

Every directive of the module, with its arguments and where it may stand; [configuration](configuration.md) explains them by what they are for. Where there are
several values, quotes hold together what has spaces. This page is made of the table in the code: `UPDATE_DIRECTIVES=1 cargo test -p mod_wsgi --lib reference`.

| directive | where | what it is for |
|---|---|---|
";

fn places(context: Context) -> &'static str {
    match context {
        Context::Global => "server",
        Context::Server => "server, virtual host",
        Context::Configuration => "server, virtual host, directory",
        Context::FileInfo => "server, virtual host, directory, `.htaccess` (FileInfo)",
        Context::Access => "directory, `.htaccess` (AuthConfig)",
    }
}

fn page() -> String {
    let mut rows: Vec<_> = DIRECTIVES.iter().map(|row| (row.name.to_string_lossy(), row)).collect();
    rows.sort_by_key(|(name, _)| name.trim_start_matches('<').to_lowercase());
    let lines = rows.iter().map(|(name, row)| {
        let help = row.help.to_string_lossy();
        let (arguments, purpose) = help.split_once(": ").unwrap_or(("", &help));
        let close = if name.starts_with('<') { ">" } else { "" };
        let [arguments, purpose] = [arguments, purpose].map(|text| text.replace('|', "\\|"));
        format!("| `{name} {arguments}{close}` | {} | {purpose} |\n", places(row.context))
    });
    HEAD.to_owned() + &lines.collect::<String>()
}

#[test]
fn the_page_of_the_documentation_is_that_of_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/directives.md");
    if std::env::var_os("UPDATE_DIRECTIVES").is_some() {
        std::fs::write(path, page()).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    let update = "UPDATE_DIRECTIVES=1 cargo test -p mod_wsgi --lib reference";
    assert!(written == page(), "docs/directives.md is stale: {update}");
}

#[test]
fn every_directive_is_explained() {
    let pages = ["configuration", "access-control", "logging", "monitoring", "protected-files", "migration"];
    let read = |page| std::fs::read_to_string(format!("{}/docs/{page}.md", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let all = pages.map(read).concat();
    let missing: Vec<_> =
        DIRECTIVES.iter().map(|row| row.name.to_string_lossy()).filter(|name| !all.contains(&**name)).collect();
    assert_eq!(missing, [""; 0], "a directive that no page explains");
}
