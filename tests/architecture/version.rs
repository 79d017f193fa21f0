//! The product has one version.

use std::fs;

use harness::repository;

fn read(name: &str) -> String {
    fs::read_to_string(repository().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The version of a crate or workspace.
fn version(manifest: &str) -> String {
    let text = read(manifest);
    let line = text.lines().find_map(|line| line.strip_prefix("version = \"")).expect("a version");
    line.trim_end_matches('"').to_owned()
}

#[test]
fn everything_is_of_one_version() {
    let product = version("Cargo.toml");
    assert_eq!(version("fuzz/Cargo.toml"), product);
    let changes = read("CHANGELOG.md");
    let heading = changes.lines().filter_map(|line| line.strip_prefix("## [")).find(|line| line.contains("] - "));
    assert!(
        heading.is_some_and(|line| line.starts_with(&format!("{product}] - "))),
        "the newest version of CHANGELOG.md is not {product}: {heading:?}"
    );
    let (short, _) = product.rsplit_once('.').expect("three numbers");
    assert!(read("README.md").contains(&format!("This is version {short}:")), "README.md tells another version");
}

#[test]
fn the_distribution_is_not_that_of_the_peer() {
    // pip would take `mod-wsgi` for another version of what others have installed by that name.
    assert!(read("pyproject.toml").contains("\nname = \"mod-wsgi-rust\"\n"));
}

#[test]
fn the_source_distribution_has_every_crate() {
    let (manifest, packed) = (read("Cargo.toml"), read("MANIFEST.in"));
    let members = manifest.split("members = [").nth(1).and_then(|rest| rest.split(']').next()).expect("members");
    for member in members.split(',').map(|member| member.trim().trim_matches('"')).filter(|member| !member.is_empty()) {
        let line = format!("graft {member}");
        assert!(packed.lines().any(|packed| packed == line), "MANIFEST.in has no line `{line}`");
    }
}

#[test]
fn a_version_has_each_kind_of_change_once() {
    for version in read("CHANGELOG.md").split("\n## ").skip(1) {
        let mut kinds: Vec<_> = version.lines().filter(|line| line.starts_with("### ")).collect();
        let all = kinds.len();
        kinds.sort_unstable();
        kinds.dedup();
        assert_eq!(kinds.len(), all, "{:?}: {kinds:?}", version.lines().next());
    }
}
