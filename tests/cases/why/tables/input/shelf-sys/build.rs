#[path = "../build/compile.rs"]
mod compile;

fn main() {
    compile::shared("shelf");
    println!("cargo::rustc-link-lib=dylib=shelf");
}
