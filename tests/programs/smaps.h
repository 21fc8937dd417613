/* What the kernel shows of a region beyond its protection. */
#pragma once
#include "survive.h"

/* What follows `key` ("VmFlags:" and the like) for the region at this address; nothing if the kernel does not tell. */
static const char *value_of(const void *address, const char *key) {
    static char line[PAGE];
    unsigned long start, end;
    int here = 0, found = 0;
    FILE *maps = fopen("/proc/self/smaps", "r");
    CHECK(maps != NULL);
    while (!found && fgets(line, sizeof line, maps)) {
        if (strchr("0123456789abcdef", line[0]) && sscanf(line, "%lx-%lx", &start, &end) == 2)
            here = start <= (unsigned long)address && (unsigned long)address < end;
        found = here && strncmp(line, key, strlen(key)) == 0;
    }
    fclose(maps);
    return found ? line + strlen(key) : "";
}

/* Whether the region at this address has the flag ("lo" and the like). */
__attribute__((unused)) static int has_flag(const void *address, const char *flag) {
    char word[8];
    snprintf(word, sizeof word, " %s", flag);
    return strstr(value_of(address, "VmFlags:"), word) != NULL;
}
