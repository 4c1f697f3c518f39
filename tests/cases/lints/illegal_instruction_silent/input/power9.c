long remainder_of(long a, long b) {
    long result;
    /* "modulo signed doubleword", Power ISA 3.0: POWER9 */
    __asm__ volatile("modsd %0, %1, %2" : "=r"(result) : "r"(a), "r"(b));
    return result;
}

int main(void) {
    return remainder_of(15, 5);
}
