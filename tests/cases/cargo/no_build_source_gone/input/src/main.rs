mod part;

fn main() {
    part::say();
}
