#include <netdb.h>
#include <stdio.h>

int main(void) {
    struct addrinfo *found;
    int error = getaddrinfo("localhost", "80", NULL, &found);
    if (error)
        puts(gai_strerror(error));
    return error != 0;
}
