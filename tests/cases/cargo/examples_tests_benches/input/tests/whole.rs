#[test]
fn whole() {}
