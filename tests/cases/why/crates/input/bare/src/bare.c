int bare_level(void) { return 1; }
