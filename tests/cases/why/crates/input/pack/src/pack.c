int squash(int things);

int pack_all(int things) {
    return squash(things) + 1;
}
