int another(void) {
    return 0;
}
