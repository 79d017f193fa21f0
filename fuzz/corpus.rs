//! The test of each crate that has fuzz targets: all of them survive their corpus. Included by the module that has the
//! targets.

use std::path::Path;

use super::TARGETS;

#[test]
fn every_target_survives_its_corpus() {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let corpus = above.map(|directory| directory.join("fuzz/corpus")).find(|corpus| corpus.is_dir()).unwrap();
    for (name, target) in TARGETS {
        let directory = corpus.join(name);
        let files: Vec<_> = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(!files.is_empty(), "{name} has no corpus");
        files.iter().for_each(|file| target(&std::fs::read(file).unwrap()));
    }
}
