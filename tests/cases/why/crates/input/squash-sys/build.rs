#[path = "../build/compile.rs"]
mod compile;

fn main() {
    match std::env::var_os("CARGO_FEATURE_STATIC") {
        Some(_) => compile::archive("squash"),
        None => {
            compile::shared("squash");
            println!("cargo::rustc-link-lib=dylib=squash");
        }
    }
}
