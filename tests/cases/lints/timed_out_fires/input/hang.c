#include <stdio.h>
#include <unistd.h>

int main(void) {
    if (fork() == 0) {
        setsid();
        sleep(600);
    }
    puts("waiting");
    fflush(stdout);
    sleep(600);
    return 0;
}
