//! The row that `docs/adding/provider.md` walks through is the real one.

#[test]
fn the_walk_through_shows_the_real_row() {
    let page = include_str!("../../../docs/adding/provider.md");
    let shown = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
    let catalogue = include_str!("../catalogue/docs.toml");
    assert!(catalogue.contains(shown.expect("a block of TOML")), "the row has changed");
}
