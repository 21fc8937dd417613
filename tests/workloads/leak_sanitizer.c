/* A program that looks for leaks at its end. */
//# cflags: -fsanitize=leak
int main(void) { return 0; }
