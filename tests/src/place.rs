//! A fresh directory for one test.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::requirements::is_root;
use crate::system_v;

/// User and group `nobody` of Debian.
pub(crate) const NOBODY: u32 = 65534;

/// A directory that goes away with the test, unless the test fails.
#[derive(Debug)]
pub struct Place {
    path: PathBuf,
}

impl Place {
    /// Makes the directory below the system's directory for temporary files.
    ///
    /// # Panics
    /// If it cannot be made.
    #[must_use]
    pub fn new(test: &str) -> Self {
        Self::below(&std::env::temp_dir(), test)
    }

    /// Makes the directory below another one.
    ///
    /// # Panics
    /// If it cannot be made.
    #[must_use]
    pub fn below(directory: &Path, test: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!("ckpt-{test}-{}-{next}", std::process::id()));
        fs::create_dir_all(&path).expect("the directory for temporary files is writable");
        // The kernel's name of it, since that is what /proc shows.
        let path = path.canonicalize().expect("the new directory has a path");
        Self { path }
    }

    /// A directory that `nobody` can write to, where the tests run as root.
    ///
    /// # Panics
    /// If it cannot be given away.
    #[must_use]
    pub fn of_nobody(test: &str) -> Self {
        let place = Self::new(test);
        if is_root() {
            chown(&place.path, Some(NOBODY), Some(NOBODY)).expect("root gives files away");
        }
        place
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The content of a file in it; nothing if there is none.
    #[must_use]
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.file(name)).unwrap_or_default()
    }

    /// The content of a file in it as text.
    #[must_use]
    pub fn text(&self, name: &str) -> String {
        String::from_utf8_lossy(&self.bytes(name)).into_owned()
    }

    /// Writes a file into it.
    ///
    /// # Panics
    /// If that fails.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.file(name), content).expect("a place is writable");
    }

    /// The names in it, sorted.
    ///
    /// # Panics
    /// If it cannot be listed.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.path).expect("a place can be listed");
        let mut names: Vec<String> = entries
            .map(|entry| {
                entry
                    .expect("a name")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        names.sort();
        names
    }

    /// Temporary files of checkpoints in it.
    #[must_use]
    pub fn leftovers(&self) -> Vec<String> {
        self.names()
            .into_iter()
            .filter(|name| name.ends_with(".tmp"))
            .collect()
    }

    /// Lets the program go on that waits in `ready_and_wait` or for `release_word` (see `programs/survive.h`).
    ///
    /// # Panics
    /// If the place is not writable.
    pub fn release(&self) {
        self.write("release", "");
        // The program has this file mapped, so it must not be truncated.
        if let Ok(mut word) = fs::OpenOptions::new()
            .write(true)
            .open(self.file("release.word"))
        {
            word.write_all(&[1]).expect("release.word is writable");
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        system_v::remove(self);
        if std::thread::panicking() {
            eprintln!("kept for inspection: {}", self.path.display());
            return;
        }
        let _ = fs::set_permissions(&self.path, fs::Permissions::from_mode(0o700));
        let _ = fs::remove_dir_all(&self.path);
    }
}
