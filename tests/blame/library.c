/* What the programs of this test import, in two versions. */
int dep_called(int n) { return n + 1; }
int dep_tail(int n) { return n + 2; }
int dep_taken(int n) { return n + 3; }
int dep_in_table(int n) { return n + 4; }
int dep_weak(int n) { return n + 5; }
int dep_twice(int n) { return n + 6; }
int dep_by_rust(int n) { return n + 7; }
int dep_by_trait(int n) { return n + 8; }
int dep_by_thread(int n) { return n + 9; }
int dep_data = 7;
__thread int dep_thread_local = 8;
