pub fn line(value: f64) -> String {
    format!("{:.1} dB", maths::decibel(value))
}
