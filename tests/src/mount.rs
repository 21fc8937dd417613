//! A file system for a test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::place::Place;
use crate::requirements::is_root;

/// A file system that goes away with this.
#[derive(Debug)]
pub struct Mount {
    path: PathBuf,
}

impl Mount {
    /// Mounts one in memory with these options on a new directory of `place`; `None` where that is not permitted.
    ///
    /// # Panics
    /// If the directory cannot be made.
    #[must_use]
    pub fn on(place: &Place, directory: &str, options: &str) -> Option<Self> {
        let path = place.file(directory);
        fs::create_dir(&path).expect("a place is writable");
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(&path);
        (is_root() && mount.status().is_ok_and(|status| status.success())).then_some(Self { path })
    }

    /// Mounts, by `bindfs`, a directory of `place` on another new one: as on a network, its server knows nothing of open files. `None` where
    /// that is not permitted.
    ///
    /// # Panics
    /// If the directories cannot be made.
    #[must_use]
    pub fn by(bindfs: &Path, place: &Place, directory: &str) -> Option<Self> {
        let (path, source) = (place.file(directory), place.file("source"));
        for directory in [&path, &source] {
            fs::create_dir(directory).expect("a place is writable");
        }
        let status = Command::new(bindfs).args([&source, &path]).status();
        status
            .is_ok_and(|status| status.success())
            .then_some(Self { path })
    }

    /// Gives it other options.
    ///
    /// # Panics
    /// If that is not possible.
    pub fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        let status = Command::new("mount")
            .args(["-o", &options])
            .arg(&self.path)
            .status();
        assert!(status.is_ok_and(|status| status.success()), "{options}");
    }

    /// How many names there are on it.
    ///
    /// # Panics
    /// If it cannot be read.
    #[must_use]
    pub fn names(&self) -> usize {
        fs::read_dir(&self.path).expect("it is mounted").count()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}
