#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* How many of a folder's files can be written to; what runs is only too busy for it now. */
static int writable(const char *folder, const char *name) {
    int found = 0;
    DIR *open_folder = opendir(folder);
    for (struct dirent *entry; open_folder && (entry = readdir(open_folder));) {
        char path[4096];
        struct stat status;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        int is_fd = strstr(folder, "/fd") != NULL;
        /* The first three are whoever's that called. */
        if (is_fd && atoi(entry->d_name) < 3)
            continue;
        if ((name && strcmp(name, entry->d_name)) || stat(path, &status) || !S_ISREG(status.st_mode))
            continue;
        int refused = is_fd ? truncate(path, status.st_size) : open(path, O_WRONLY);
        if (refused >= 0 || errno == ETXTBSY) {
            fprintf(stderr, "%s can be written to\n", path);
            found++;
        }
    }
    return found;
}

int main(int count, char **args) {
    int found = writable("/proc/1/fd", NULL) + writable("/proc/self/fd", NULL);
    found += writable("/proc", "sysrq-trigger") + writable("/proc/irq", NULL) + writable("/proc/sys/kernel", NULL);
    if (open("/dev/tty", O_RDWR) >= 0) {
        fprintf(stderr, "there is a terminal\n");
        found++;
    }
    if (truncate(args[0], 0) == 0) {
        fprintf(stderr, "it emptied its own file\n");
        found++;
    }
    return count > 0 ? found : 1;
}
