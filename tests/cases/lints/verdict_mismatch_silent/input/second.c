int second(void) {
    return 0;
}
