/* Numbers that happen to be ids of threads, in surroundings that look nearly like those of a lock: objects of Java's. */
//# cflags: -pthread
#include "thread.h"

enum { WORDS = 14, SHAPES = 6 };

/* TID stands for the id of a thread. */
#define TID 0xffffffffu
static const uint32_t shapes[SHAPES][WORDS] = {
    {1, 0, TID, 2, 2, 0xfa114280, 0, 1},               /* a list of two */
    {1, 0, TID, 1, 'B', 0, 1, 0, TID},                 /* a string of one character, before another object */
    {1, 0, TID, 20, 2, 0, 0, 0, 0, 0},                 /* an array of twenty numbers */
    {1, 5, TID, 1, 2, 0, 0, 0, 0, 0},                  /* a mutex that is not recursive and counts */
    {1, 1, TID, 1, 1, 0, 0, 0, 7, 0},                  /* a mutex in a list of mutexes that it may not be in */
    {3, 0, 1, 1, 0, 0, TID, 0, 0, 0, 0, 0, 0x100, 0},  /* a read-write lock that prefers nobody there is */
};
static uint32_t data[2][SHAPES][WORDS];

static uint32_t of_shape(int shape, int word, uint32_t tid) {
    return shapes[shape][word] == TID ? tid : shapes[shape][word];
}

int main(void) {
    struct thread other;
    start(&other, wait_at_gate_and_return, NULL);
    wait_until_set(&other.tid);
    const uint32_t tids[] = {getpid(), other.tid};
    for (int i = 0; i < LENGTH(tids); i++)
        for (int shape = 0; shape < SHAPES; shape++)
            for (int word = 0; word < WORDS; word++) data[i][shape][word] = of_shape(shape, word, tids[i]);
    ready_and_wait();
    for (int i = 0; i < LENGTH(tids); i++)
        for (int shape = 0; shape < SHAPES; shape++)
            for (int word = 0; word < WORDS; word++)
                if (data[i][shape][word] != of_shape(shape, word, tids[i]))
                    FAIL("thread %d, shape %d: word %d is %u", i, shape, word, data[i][shape][word]);
    open_gate();
    finish(&other);
    return SURVIVED;
}
