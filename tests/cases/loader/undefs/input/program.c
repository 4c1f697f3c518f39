extern int nowhere(int);
int main(int count, char **arguments) { return count > 5 ? nowhere(count) : 0; }
