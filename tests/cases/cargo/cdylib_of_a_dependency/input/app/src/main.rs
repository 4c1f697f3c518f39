fn main() {
    println!("{}", plug::answer());
}
