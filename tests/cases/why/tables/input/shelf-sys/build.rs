#[path = "../build/compile.rs"]
mod compile;

fn main() {
    match std::env::var_os("CARGO_FEATURE_VENDORED") {
        Some(_) => compile::archive("shelf"),
        None => {
            compile::shared("shelf");
            println!("cargo::rustc-link-lib=dylib=shelf");
        }
    }
}
