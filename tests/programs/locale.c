/* The locale of libc. */
#include "survive.h"
#include <locale.h>
#include <wchar.h>

int main(void) {
    wchar_t wide[8];
    CHECK(setlocale(LC_ALL, "C.UTF-8"));
    ready_and_wait();
    CHECK(mbstowcs(wide, "\xc3\xa9\xe2\x82\xac", 8) == 2 && wide[0] == 0xe9 && wide[1] == 0x20ac);
    CHECK(strcmp(setlocale(LC_ALL, NULL), "C.UTF-8") == 0);
    return SURVIVED;
}
