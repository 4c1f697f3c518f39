/* aarch64: a register holds one half of two addresses in turn. With the first of them the last offset would be that of the slot of
   `dep_twice`, which `halves` does not name. */
int dep_called(int n);
int dep_twice(int n);
int halves(int n);

__attribute__((used, aligned(4096))) char page[4096];

__asm__(".text\n"
        ".type halves, %function\n"
        "halves:\n"
        "    stp x29, x30, [sp, #-16]!\n"
        "    adrp x8, :got:dep_called\n"
        "    ldr x8, [x8, :got_lo12:dep_called]\n"
        "    blr x8\n"
        "    adrp x8, page\n"
        "    ldr x1, [x8, #" OFFSET "]\n"
        "    ldp x29, x30, [sp], #16\n"
        "    ret\n"
        ".size halves, .-halves\n");

int main(int count, char **words) {
    (void)words;
    return halves(count) + dep_twice(count);
}
