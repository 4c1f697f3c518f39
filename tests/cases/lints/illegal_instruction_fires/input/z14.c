void twice(float *values) {
    /* "vector FP add", short format: vector-enhancements facility 1, z14 */
    __asm__ volatile("vl %%v1, 0(%0)\n\tvfasb %%v1, %%v1, %%v1\n\tvst %%v1, 0(%0)" : : "a"(values) : "v1", "memory");
}

int main(void) {
    float values[4] = {1, 2, 3, 4};
    twice(values);
    return values[3] != 8;
}
