/* Loops, reductions, tasks and critical sections on the threads of OpenMP. */
//# cflags: -fopenmp
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

enum { SIZE = 1 << 16, STEPS = 200 };

static unsigned values[SIZE];

static unsigned next(unsigned state) { return state * 1664525 + 1013904223; }

static void sort(unsigned *first, long count) {
    if (count < 2) return;
    const unsigned pivot = first[count / 2];
    long left = 0, right = count - 1;
    while (left <= right) {
        while (first[left] < pivot) left++;
        while (first[right] > pivot) right--;
        if (left > right) break;
        const unsigned other = first[left];
        first[left++] = first[right];
        first[right--] = other;
    }
#pragma omp task if (right > 2000)
    sort(first, right + 1);
#pragma omp task if (count - left > 2000)
    sort(first + left, count - left);
#pragma omp taskwait
}

int main(void) {
    for (int step = 0; step < STEPS; step++) {
        unsigned long sum = 0;
        unsigned largest = 0;
        int team = 0;
#pragma omp parallel num_threads(4)
        {
#pragma omp for schedule(dynamic, 500)
            for (int i = 0; i < SIZE; i++) {
                unsigned state = step * SIZE + i;
                for (int round = 0; round < 30; round++) state = next(state) ^ state >> 15;
                values[i] = state;
            }
#pragma omp single
            sort(values, SIZE);
#pragma omp for reduction(+ : sum) schedule(guided)
            for (int i = 1; i < SIZE; i++) sum += (unsigned long)i * (values[i] - values[i - 1]);
#pragma omp critical
            {
                team++;
                if (values[SIZE - 1] > largest) largest = values[SIZE - 1];
            }
        }
        printf("%d %d %lu %u %u\n", step, team, sum, largest, values[SIZE / 2]);
        if (step % 10 == 0) fflush(stdout);
    }
}
