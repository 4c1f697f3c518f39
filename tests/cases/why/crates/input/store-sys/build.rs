#[path = "../build/compile.rs"]
mod compile;

fn main() {
    match std::env::var_os("CARGO_FEATURE_VENDORED") {
        Some(_) => compile::archive("store"),
        None => {
            compile::shared("store");
            println!("cargo::rustc-link-lib=store");
        }
    }
}
