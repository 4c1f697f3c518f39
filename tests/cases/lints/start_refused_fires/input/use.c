int old(void);
int added(void);

int main(void) {
    return old() + added();
}
