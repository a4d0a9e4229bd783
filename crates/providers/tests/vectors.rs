//! Every published vector has the expected verdict, genuine and tampered.

use std::path::Path;

use hookwright_providers::vectors;

#[test]
fn every_case_has_the_expected_verdict() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
    let report = vectors::check(&dir).expect("readable");
    assert!(report.wrong.is_empty(), "{report}");
    // So that a directory which lost its files does not pass.
    println!("{report}");
    assert!(report.files >= 100 && report.right >= 1_410, "{report}");
}
