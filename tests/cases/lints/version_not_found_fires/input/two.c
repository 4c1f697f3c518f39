int old(void) {
    return 0;
}

int new(void) {
    return 0;
}
