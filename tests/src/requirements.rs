//! What a test needs of the machine. A test that cannot run says so; with `CKPT_TEST_STRICT=1` a missing tool fails it.

use std::io::Write;
use std::path::{Path, PathBuf};

/// Says that a test did not run, past the capturing of output.
pub fn not_run(test: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "{test}: not run: {why}");
}

/// The path of a program of the distribution, or `None` after saying that `test` needs it.
///
/// # Panics
/// If it is missing and `CKPT_TEST_STRICT` is 1.
#[must_use]
pub fn tool(test: &str, name: &str) -> Option<PathBuf> {
    let found = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"].map(|dir| Path::new(dir).join(name));
    first_that_exists(test, name, &found)
}

/// A file of the distribution that is no program, or `None` after saying that `test` needs it.
///
/// # Panics
/// If it is missing and `CKPT_TEST_STRICT` is 1.
#[must_use]
pub fn distributed(test: &str, path: impl Into<PathBuf>) -> Option<PathBuf> {
    let path = path.into();
    first_that_exists(test, &path.display().to_string(), &[path])
}

fn first_that_exists(test: &str, name: &str, paths: &[PathBuf]) -> Option<PathBuf> {
    if let Some(path) = paths.iter().find(|path| path.exists()) {
        return Some(path.clone());
    }
    let why = format!("{name} is missing; install it with `make test-deps`");
    assert!(
        std::env::var("CKPT_TEST_STRICT").as_deref() != Ok("1"),
        "{why}"
    );
    not_run(test, &why);
    None
}

/// Whether the tests run as root.
#[must_use]
pub fn is_root() -> bool {
    // SAFETY: geteuid has no preconditions.
    unsafe { libc::geteuid() == 0 }
}
