int first(void) {
    return 0;
}
