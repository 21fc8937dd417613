//! Makes one test of every program in `programs/`, so that a new program is one new file.

use std::{env, fs, path::Path};

fn main() {
    println!("cargo:rerun-if-changed=programs");
    let mut files: Vec<String> = fs::read_dir("programs")
        .expect("programs/ can be listed")
        .map(|entry| entry.expect("programs/ can be read").file_name())
        .map(|name| name.into_string().expect("file names are UTF-8"))
        .filter(|name| name.ends_with(".c") || name.ends_with(".cc"))
        .collect();
    files.sort();
    let tests: String = files
        .iter()
        .map(|file| {
            let name = file.split('.').next().expect("a name has a first part");
            format!("#[test]\nfn {name}() {{\n    survive({file:?});\n}}\n")
        })
        .collect();
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    fs::write(Path::new(&out).join("programs.rs"), tests).expect("OUT_DIR is writable");
}
