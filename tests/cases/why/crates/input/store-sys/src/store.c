int store_open(void) { return 7; }
