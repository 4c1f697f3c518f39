extern int maybe(int) __attribute__((weak));
int unused_data;
int plugin(int a) { return maybe ? maybe(a) : a; }
