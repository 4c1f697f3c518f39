#include <stdio.h>
#include <string.h>

int main(int count, char **words) {
    if (count == 2 && strcmp(words[1], "--version") == 0) {
        puts("tool 1.0");
        return 0;
    }
    fputs("usage: tool --version\n", stderr);
    return 2;
}
