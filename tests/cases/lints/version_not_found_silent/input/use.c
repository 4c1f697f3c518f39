int old(void);
int new(void);

int main(void) {
    return old() + new();
}
