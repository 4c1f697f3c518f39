#include <netdb.h>

int main(void) {
    struct addrinfo *found;
    return getaddrinfo("localhost", 0, 0, &found);
}
