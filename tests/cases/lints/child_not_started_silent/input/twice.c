#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int count, char **words) {
    if (count > 1) {
        return 0;
    }
    if (fork() == 0) {
        execl(words[0], words[0], "again", (char *)0);
        perror("execl");
        _exit(1);
    }
    int status = -1;
    wait(&status);
    return status != 0;
}
