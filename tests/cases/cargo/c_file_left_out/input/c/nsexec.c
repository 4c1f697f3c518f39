#include <unistd.h>

int spawn_userns_cat(const char *path, int fd) { return access(path, R_OK) + dup(fd); }
