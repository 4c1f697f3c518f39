extern int data;

int main(void) {
    return data - 1;
}
