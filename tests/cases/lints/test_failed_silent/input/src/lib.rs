//! ```
//! assert_eq!(sample::add(1, 2), 3);
//! ```
//!
//! ```should_panic
//! panic!("meant");
//! ```

pub fn add(a: u32, b: u32) -> u32 {
    a + b
}

#[test]
fn adds() {
    assert_eq!(add(1, 1), 2);
}
