extern int spawn_userns_cat(int);
extern int strdupp(int);
int plugin(int a) { return spawn_userns_cat(a) + strdupp(a); }
