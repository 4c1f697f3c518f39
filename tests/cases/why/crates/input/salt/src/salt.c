#include <stdint.h>
#include <stdlib.h>

static uint32_t stir(uint32_t times) {
    uint32_t salt = 0;
    while (times-- > 0)
        salt ^= arc4random();
    return salt;
}

uint32_t salt_fresh(uint32_t times) {
    return stir(times);
}
