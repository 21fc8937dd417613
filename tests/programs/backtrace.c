/* Functions by name, for debuggers; the loop makes no call, so that the innermost function is the current one. */
#include "survive.h"

int depth;

__attribute__((noinline)) static void innermost(volatile uint64_t *word) {
    depth = 3;
    say_ready();
    while (!*word) continue;
    depth--;
}

__attribute__((noinline)) static void middle(volatile uint64_t *word) {
    innermost(word);
    depth--;
}

__attribute__((noinline)) static void outermost(volatile uint64_t *word) {
    middle(word);
    depth--;
}

int main(void) {
    outermost(release_word());
    CHECK(depth == 0);
    return SURVIVED;
}
