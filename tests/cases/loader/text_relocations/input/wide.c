extern int elsewhere;

int *where(void) {
    return &elsewhere;
}
