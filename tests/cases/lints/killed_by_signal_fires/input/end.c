#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

int main(void) {
    puts("so far");
    fflush(stdout);
#ifdef FAULT
    raise(SIGSEGV);
#endif
    abort();
}
