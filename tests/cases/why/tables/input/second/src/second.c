#include <stdint.h>
#include <stdlib.h>

typedef uint32_t (*source)(uint32_t);

static uint32_t none(uint32_t limit) { return limit; }

static const source again[] __asm__(".Lagain") = {(source)arc4random, none};
/* The linker puts these behind the table of `first`, and code names none of the first two. */
static const source sources[] __asm__(".Lsources") = {arc4random_uniform, (source)arc4random, none, none};

uint32_t second_run(uint32_t n) {
    const source *from = sources + 2;
    __asm__("" : "+r"(from));
    return from[n & 1](n) + again[n & 1](n);
}
