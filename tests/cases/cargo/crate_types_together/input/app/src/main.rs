mac::nothing!();

fn main() {
    println!("hello");
}
