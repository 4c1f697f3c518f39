int shelf_depth(void) { return 3; }
