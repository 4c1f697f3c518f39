fn main() {
    println!("{}", rust::answer());
}
