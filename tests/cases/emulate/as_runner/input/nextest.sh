program=$(find "$PWD/target/s390x-unknown-linux-gnu/debug/deps" -name 'placed-*' -type f -perm -100)
set -- cargo-compat $program "$@"
CARGO_MANIFEST_DIR=$PWD exec "$@"
