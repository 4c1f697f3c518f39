#include <unistd.h>

int main(void) {
    if (fork() == 0) {
        setsid();
        sleep(600);
    }
    return 0;
}
