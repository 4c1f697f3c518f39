#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int count, char **args) {
    const char *what = count > 1 ? args[1] : "";
    if (!strcmp(what, "escape")) {
        printf("\033[2J\033]0;title\007 \033[31mred\n");
        return 1;
    }
    if (!strcmp(what, "fork")) {
        int child;
        while ((child = fork()) > 0)
            ;
        if (child == 0)
            for (;;)
                pause();
        perror("no more");
        return 1;
    }
    if (!strcmp(what, "leave")) {
        if (fork() == 0) {
            setsid();
            for (;;)
                sleep(1000);
        }
        return 0;
    }
    if (!strcmp(what, "fill")) {
        /* More than a file system of the root may hold; so much is refused at once. */
        const char *places[] = {"/tmp/much", "/dev/shm/much"};
        int filled = 0;
        for (int place = 0; place < 2; place++)
            filled += posix_fallocate(open(places[place], O_CREAT | O_RDWR, 0600), 0, (1LL << 30) + 4096) != ENOSPC;
        return filled;
    }
    if (!strcmp(what, "flood")) {
        static char block[1 << 20];
        memset(block, 'x', sizeof block - 1);
        block[sizeof block - 1] = '\n';
        for (int mebibyte = 0; mebibyte < 256; mebibyte++)
            if (fwrite(block, sizeof block, 1, stdout) != 1)
                return 2;
        return 0;
    }
    /* The root, and what is settled for the whole machine. */
    const char *files[] = {"/written", "/etc/written", "/proc/sys/kernel/core_pattern"};
    int written = 0;
    for (int file = 0; file < 3; file++) {
        FILE *stream = fopen(files[file], file == 2 ? "r+" : "w");
        written += stream != NULL;
    }
    return written;
}
