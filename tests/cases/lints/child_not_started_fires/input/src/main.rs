fn main() {
    println!("child");
}
