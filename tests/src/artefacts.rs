//! Where the files under test are: in the directory of the profile that the test itself was built with.

use std::path::PathBuf;

/// The directory of the profile: `target/debug` or `target/release`.
///
/// # Panics
/// If the program that asks is not where cargo puts it: tests into `deps` below that directory, others into it.
#[must_use]
pub fn target_dir() -> PathBuf {
    let program = std::env::current_exe().expect("a running program has a path");
    let directory = program.parent().expect("a program is in a directory");
    let profile = match directory.file_name() {
        Some(name) if name == "deps" => directory.parent(),
        _ => Some(directory),
    };
    profile
        .expect("cargo puts tests into target/PROFILE/deps")
        .to_owned()
}

fn built(name: &str) -> PathBuf {
    let path = target_dir().join(name);
    assert!(
        path.exists(),
        "{} is not built; run `make test`",
        path.display()
    );
    path
}

/// The library to preload.
#[must_use]
pub fn libckpt() -> PathBuf {
    built("libckpt.so")
}

/// The program that restores.
#[must_use]
pub fn restorer() -> PathBuf {
    built("restorer")
}
