//! The page of the documentation that is made of the table of messages.

#[test]
fn the_page_of_the_documentation_is_that_of_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/messages.md");
    let page = wsgi_wire::messages::page();
    if std::env::var_os("UPDATE_MESSAGES").is_some() {
        assert!(std::fs::write(path, &page).is_ok(), "{path} cannot be written");
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(written == page, "docs/messages.md is stale: UPDATE_MESSAGES=1 cargo test -p wsgi-wire --test messages");
}
