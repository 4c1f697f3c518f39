int old(void) {
    return 0;
}
