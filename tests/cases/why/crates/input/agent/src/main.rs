fn main() {
    println!("{}", salt::fresh());
}
