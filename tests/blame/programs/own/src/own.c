/* C of the program's own, with imports of glibc 2.18 to 2.36, some in a table. */
#define _GNU_SOURCE
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

typedef double (*function)(double);
static const struct { const char *name; function run; } table[] = {{"log", log}, {"exp", exp}, {"exp2", exp2}};

double own_by_name(const char *name, double x) {
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!strcmp(table[i].name, name)) return table[i].run(x);
    return pow(x, 2.5);
}

long own_size(const char *path) {
    struct stat found;
    return stat(path, &found) ? -1 : (long)found.st_size;
}

static void *body(void *seed) {
    arc4random_buf(seed, sizeof(unsigned));
    return seed;
}

static int once_more(int n) { return n > 3 ? n : (int)arc4random_uniform(10) + gettid(); }

int own_work(int n) {
    pthread_t thread;
    unsigned seed = 0;
    if (pthread_create(&thread, 0, body, &seed)) return -1;
    pthread_join(thread, 0);
    char buffer[16];
    if (getrandom(buffer, sizeof buffer, 0) < 0) abort();
    return once_more(n) + (int)seed;
}
