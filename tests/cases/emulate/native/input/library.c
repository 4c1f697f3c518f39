int of_library(void) {
    return 0;
}
