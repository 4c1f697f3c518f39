#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef LIBRARY
int of_library(void);
#endif

int main(int count, char **args) {
    const char *end = count > 1 ? args[1] : "";
#ifdef LIBRARY
    of_library();
#endif
    if (!strcmp(end, "abort"))
        abort();
    if (!strcmp(end, "hang"))
        for (;;)
            pause();
    if (!strcmp(end, "trap"))
#if defined __powerpc64__
        __asm__ volatile(".long 0");
#else
        __asm__ volatile("ud2");
#endif
    return atoi(end);
}
