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
    if let Some(path) = found.into_iter().find(|path| path.exists()) {
        return Some(path);
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
