/* Every way by which code comes to use an import. */
extern int dep_called(int), dep_tail(int), dep_taken(int), dep_in_table(int), dep_twice(int);
extern int dep_weak(int) __attribute__((weak));
extern int dep_data;
extern __thread int dep_thread_local;

#define APART __attribute__((noinline, noclone, noipa))

/* The chain user → middle → called, by calls alone. */
APART static int called(int n) { return dep_called(n) * 3; }
APART static int middle(int n) { return called(n + 1) * 5; }
APART int user_calls(int n) { return middle(n) - 1; }

APART int tail(int n) { return dep_tail(n + 1); }
APART int (*taken(void))(int) { return dep_taken; }
APART int weak(int n) { return dep_weak ? dep_weak(n) : 0; }
APART int data(void) { return dep_data; }
APART int thread_local_data(void) { return dep_thread_local; }

/* An import in a table, and functions in another: the chain user → (table) → twice. */
static int (*const imports[])(int) = {dep_in_table, 0};
APART int by_table(int i, int n) { return imports[i](n); }

APART static int twice(int n) { return dep_twice(dep_twice(n)) + 1; }
APART static int other(int n) { return n - 1; }
struct operation { const char *name; int (*run)(int); };
static const struct operation operations[] = {{"twice", twice}, {"other", other}};
APART int user_looks_up(int i, int n) { return operations[i].run(n); }

/* A switch with its jump table, and a function that is long. */
APART int switches(int n) {
    switch (n) {
    case 0: return called(1);
    case 1: return tail(2);
    case 2: return weak(3);
    case 3: return data();
    case 4: return dep_twice(9);
    case 5: return by_table(0, 1);
    default: return n;
    }
}

int main(int argc, char **argv) {
    return user_calls(argc) + user_looks_up(argc & 1, argc) + taken()(argc) + switches(argc) + thread_local_data() + (argv == 0);
}
