#include <stdio.h>

int main(void) {
    return puts("qemu-s390x version 5.2.0 (of old)") < 0;
}
