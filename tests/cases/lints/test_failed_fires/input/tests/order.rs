#[test]
fn bytes_as_they_lie() {
    assert_eq!(1u32.to_ne_bytes()[0], 1);
}

#[test]
fn bytes_as_they_are_sent() {
    assert_eq!(1u32.to_le_bytes()[0], 1);
}
