#[path = "../build/compile.rs"]
mod compile;

fn main() {
    compile::shared("bare");
}
