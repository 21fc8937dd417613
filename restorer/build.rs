//! Hands the linker what makes the restorer freestanding, and its address space.

fn main() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    println!("cargo:rerun-if-changed={root}/link/restorer.ld");
    println!("cargo:rerun-if-changed={root}/asm");
    let arguments = [
        // No C library and none of its start-up files; nothing to resolve or relocate at run time.
        "-nostartfiles",
        "-nostdlib",
        "-static",
        "-no-pie",
        // The linker's own additions would need a segment, or pad the file to the largest page size there is.
        "-Wl,--build-id=none",
        "-Wl,-z,noexecstack",
        "-Wl,-z,norelro",
        "-Wl,-z,max-page-size=4096",
    ];
    for argument in arguments {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
    println!("cargo:rustc-link-arg-bins=-Wl,-T,{root}/link/restorer.ld");
}
