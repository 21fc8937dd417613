//! Tells the linker in which order constructors are to run, and what nobody else is to see.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Before the constructors of all other libraries, which may take long or create threads: until ours has run, the
    // signal ends the program.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,initfirst");
    // Where the list of libc's functions begins and ends.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,start-stop-visibility=hidden");
    // Where dlsym(3) is before glibc 2.34, and functions that we stand in front of: the program may load these libraries later, where we
    // would not find them. Since then they are empty, and nothing refers to them.
    println!("cargo:rustc-cdylib-link-arg=-Wl,--no-as-needed,-lpthread,-lrt,-ldl,--as-needed");
}
