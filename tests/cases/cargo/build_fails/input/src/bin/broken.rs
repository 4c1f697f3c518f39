compile_error!("this is broken");
fn main() {}
