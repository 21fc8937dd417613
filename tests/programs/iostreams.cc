// Streams with unwritten output and half-read input.
#include "survive.h"
#include <fstream>
#include <iostream>
#include <sstream>

int main() {
    std::ofstream("input") << "one two three";
    std::ifstream in("input");
    std::ofstream out("output");
    std::string word;
    in >> word;
    out << word << ' ';
    std::cout << "unwritten ";
    std::ostringstream memory;
    memory << std::hex << 255;
    ready_and_wait();
    in >> word;
    out << word << std::flush;
    std::cout << "line" << std::endl;
    memory << ' ' << 16;
    std::stringstream content;
    content << std::ifstream("output").rdbuf() << '|' << std::ifstream("out").rdbuf();
    CHECK(content.str() == "one two|unwritten line\n");
    CHECK(memory.str() == "ff 10");
    return SURVIVED;
}
