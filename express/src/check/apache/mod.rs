//! Checks a configuration of Apache: what Apache itself says of it, and what only shows with knowledge of mod_wsgi.
//!
//! Knows directives by their names. Must not know what the command itself would write.

mod ask;
mod groups;
mod places;
mod sites;
mod tree;

use camino::Utf8Path;

use crate::finding::Finding;
use crate::options::Layout;
use crate::plan::Caller;

use groups::Groups;
use sites::Site;

/// The number of Apache's warning about undefined groups, which [`groups`] reports with its place.
const UNDEFINED_GROUP: &str = "WSGI1100";

/// Checks a configuration. Returns what is found, and the file of the configuration.
pub fn findings(file: Option<&Utf8Path>, layout: &Layout, caller: &Caller) -> (Vec<Finding>, String) {
    let configuration = match ask::ask(file, layout, caller) {
        Ok(configuration) => configuration,
        Err(finding) => return (vec![finding], file.map_or("Apache's configuration", Utf8Path::as_str).to_owned()),
    };
    let subject = configuration.file.to_string();
    if !configuration.modules.iter().any(|name| name == "wsgi") {
        let text =
            format!("{subject} does not load mod_wsgi; add the lines that mod_wsgi-express module-config prints");
        return (vec![Finding::error("module", text)], subject);
    }
    let own = |text: &&String| !text.starts_with(UNDEFINED_GROUP) && !text.starts_with("AH00558");
    let mut found: Vec<_> =
        configuration.warnings.iter().filter(own).map(|text| Finding::warning("apache", text)).collect();
    let groups = Groups::of(&configuration.directives);
    let sites = Site::all(&configuration.directives);
    found.extend(groups.findings());
    found.extend(groups.capacity(&configuration));
    for site in &sites {
        found.extend(site.findings(&groups));
        found.extend(places::findings(site, &groups, &configuration.directives));
    }
    found.extend(places::homes(&groups, &configuration.directives));
    (found, subject)
}
