#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *in(const char *folder, const char *name) {
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void refused(const char *what, int result) {
    printf("%s: %s\n", what, result < 0 ? "no" : "done");
}

static void endless(void) {
    for (;;)
        sleep(1000);
}

int main(int count, char **args) {
    const char *what = count > 1 ? args[1] : "";
    if (!strcmp(what, "leave") || !strcmp(what, "hang")) {
        if (fork() == 0) {
            setsid();
            endless();
        }
        if (*what == 'h')
            endless();
        return 0;
    }
    refused("write to a file of the root", open("/etc/kept", O_WRONLY | O_TRUNC));
    refused("remove a file of the root", unlink("/etc/kept"));
    refused("make a folder", mkdir("/made_by_a_test", 0755));
    refused("write beside the root", open(in(args[2], "beside"), O_WRONLY | O_TRUNC));
    refused("cut off a file", truncate(in(args[2], "beside"), 0));
    refused("make a file", open(in(args[2], "made"), O_WRONLY | O_CREAT, 0644));
    refused("make a file for a while", open(in(getenv("TMPDIR"), "made"), O_WRONLY | O_CREAT, 0644));
    refused("write to /dev/null", open("/dev/null", O_WRONLY));
    return 0;
}
