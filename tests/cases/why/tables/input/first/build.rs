#[path = "../build/compile.rs"]
mod compile;

fn main() {
    compile::archive("first");
}
