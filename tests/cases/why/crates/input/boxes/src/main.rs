fn main() {
    println!("{}", pack::all(3));
}
