int old(void) {
    return 0;
}

int added(void) {
    return 0;
}
