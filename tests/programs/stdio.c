/* Buffers of stdio: unwritten output, half-read input, a character pushed back. */
#include "survive.h"

int main(void) {
    char word[20];
    CHECK(close(new_file("random", 8, 1)) == 0);
    FILE *file = fopen("data", "w+");
    CHECK(file && fputs("one two three\n", file) >= 0 && fflush(file) == 0);
    rewind(file);
    CHECK(fscanf(file, "%19s", word) == 1 && getc(file) == ' ' && ungetc('#', file) == '#');
    FILE *output = fopen("output", "w");
    CHECK(fputs("half ", output) >= 0);
    ready_and_wait();
    CHECK(fscanf(file, "%19s", word) == 1 && strcmp(word, "#two") == 0);
    CHECK(fputs("whole", output) >= 0 && fclose(output) == 0);
    output = fopen("output", "r");
    CHECK(fgets(word, sizeof word, output) && strcmp(word, "half whole") == 0);
    return SURVIVED;
}
