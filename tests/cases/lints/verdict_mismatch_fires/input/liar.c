#include <stdio.h>

int main(void) {
    fputs("liar: error while loading shared libraries: libx.so.1: cannot open shared object file: "
          "No such file or directory\n", stderr);
    return 127;
}
