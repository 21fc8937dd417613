//! A file system for a test.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::place::Place;
use crate::requirements::is_root;

/// A file system in memory, which goes away with this.
#[derive(Debug)]
pub struct Mount {
    path: PathBuf,
}

impl Mount {
    /// Mounts one with these options on a new directory of `place`; `None` where that is not permitted.
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
