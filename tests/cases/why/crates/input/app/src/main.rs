mod screen {
    pub fn draw(value: f64) {
        println!("{}", report::line(value));
    }
}

fn main() {
    screen::draw(std::env::args().count() as f64);
    println!("{} {} {}", salt::fresh(), store::open(), bare::level());
}
