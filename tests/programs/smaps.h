/* What the kernel shows of a region beyond its protection. */
#pragma once
#include "survive.h"

/* Whether the region at this address has the flag ("lo" and the like). */
__attribute__((unused)) static int has_flag(const void *address, const char *flag) {
    char line[PAGE], word[8];
    unsigned long start, end;
    int found = 0, here = 0;
    snprintf(word, sizeof word, " %s", flag);
    FILE *maps = fopen("/proc/self/smaps", "r");
    CHECK(maps != NULL);
    while (fgets(line, sizeof line, maps)) {
        if (strchr("0123456789abcdef", line[0]) && sscanf(line, "%lx-%lx", &start, &end) == 2)
            here = start <= (unsigned long)address && (unsigned long)address < end;
        if (here && strncmp(line, "VmFlags:", 8) == 0) found = strstr(line, word) != NULL;
    }
    fclose(maps);
    return found;
}
