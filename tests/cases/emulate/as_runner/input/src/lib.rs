#[cfg(test)]
mod tests {
    #[test]
    fn in_the_root() {
        assert_eq!(std::fs::read_to_string("/etc/kept").unwrap(), "as it was\n");
        assert!(!std::path::Path::new("/usr/bin").exists());
    }
}
