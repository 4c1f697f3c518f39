pub fn decibel(value: f64) -> f64 {
    10.0 * value.ln() / std::f64::consts::LN_10
}
