//! What `/proc` shows of a process and must be the same after a restart.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::{fs, io};

use crate::maps::{Region, regions, without_labels};

/// Lines of `/proc/PID/status` that a restart keeps.
const STATUS: [&str; 19] = [
    "Name",
    "Umask",
    "Uid",
    "Gid",
    "Groups",
    "Threads",
    "ShdPnd",
    "SigPnd",
    "SigBlk",
    "SigIgn",
    "SigCgt",
    "CapInh",
    "CapPrm",
    "CapEff",
    "CapBnd",
    "CapAmb",
    "NoNewPrivs",
    "Seccomp",
    "CoreDumping",
];

/// A process as `/proc` shows it at one moment.
#[derive(Debug, PartialEq, Eq)]
pub struct Portrait {
    /// Its memory.
    pub regions: Vec<Region>,
    /// Its descriptors: number, and path or kind.
    pub descriptors: BTreeMap<u32, String>,
    status: BTreeMap<String, String>,
    files: BTreeMap<&'static str, Vec<u8>>,
    directory: Vec<u8>,
}

impl Portrait {
    /// Takes the portrait; nothing if the process is gone.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        let task = living_task(pid)?;
        let path = |name: &str| format!("{task}/{name}");
        let status = fs::read_to_string(path("status")).ok()?;
        let status = status
            .lines()
            .filter_map(|line| line.split_once(':'))
            .filter(|(name, _)| STATUS.contains(name))
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect();
        let mut files = BTreeMap::new();
        for name in ["cmdline", "environ", "auxv", "comm", "limits"] {
            files.insert(name, fs::read(path(name)).ok()?);
        }
        Some(Self {
            regions: regions(&task)?,
            descriptors: descriptors(&task)?,
            status,
            files,
            directory: fs::read_link(path("cwd"))
                .ok()?
                .as_os_str()
                .as_bytes()
                .to_owned(),
        })
    }

    /// The same process, whose memory has no names that the kernel or the program has given it: what is mapped from an image has
    /// none.
    #[must_use]
    pub fn without_labels(self) -> Self {
        Self {
            regions: without_labels(self.regions),
            ..self
        }
    }

    /// Says in which ways another portrait differs from this one.
    #[must_use]
    pub fn difference(&self, other: &Portrait) -> String {
        let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
        let mut lines = changes(&self.regions, &other.regions);
        if self.descriptors != other.descriptors {
            lines += &format!(
                "descriptors: {:?} became {:?}\n",
                self.descriptors, other.descriptors
            );
        }
        for (name, value) in self
            .status
            .iter()
            .filter(|(name, value)| other.status[*name] != **value)
        {
            lines += &format!("{name}: {value} became {}\n", other.status[name]);
        }
        for (name, content) in self
            .files
            .iter()
            .filter(|(name, content)| other.files[*name] != **content)
        {
            lines += &format!(
                "{name}: {} became {}\n",
                text(content),
                text(&other.files[name])
            );
        }
        if self.directory != other.directory {
            lines += &format!(
                "cwd: {} became {}\n",
                text(&self.directory),
                text(&other.directory)
            );
        }
        lines
    }
}

fn changes(before: &[Region], after: &[Region]) -> String {
    let show = |sign: char, region: &Region| {
        let Region {
            start,
            end,
            permissions,
            offset,
            name,
        } = region;
        format!("{sign} {start:x}-{end:x} {permissions} {offset:x} {name}\n")
    };
    let lost = before
        .iter()
        .filter(|region| !after.contains(region))
        .map(|region| show('-', region));
    let new = after
        .iter()
        .filter(|region| !before.contains(region))
        .map(|region| show('+', region));
    lost.chain(new).collect()
}

fn descriptors(task: &str) -> Option<BTreeMap<u32, String>> {
    let entries = fs::read_dir(format!("{task}/fd")).ok()?;
    let descriptor = |entry: io::Result<fs::DirEntry>| {
        let entry = entry.ok()?;
        let number = entry.file_name().to_str()?.parse().ok()?;
        let target = fs::read_link(entry.path())
            .ok()?
            .to_string_lossy()
            .into_owned();
        // The number in `pipe:[4711]` is another one in each process, and so may be the place of what has no name.
        let kind = if target.ends_with(" (deleted)") {
            "deleted".to_owned()
        } else if target.starts_with("/proc/") {
            // Nor do process and threads keep their ids.
            let is_id = |name: &str| name.parse::<u32>().is_ok();
            let names = target.split('/');
            let names = names.map(|name| if is_id(name) { "ID" } else { name });
            names.collect::<Vec<_>>().join("/")
        } else if target.starts_with("/dev/pts/") && !target.ends_with("ptmx") {
            "a pseudo-terminal".to_owned()
        } else if target.starts_with('/') {
            target
        } else {
            target.split(':').next()?.to_owned()
        };
        Some((number, kind))
    };
    Some(entries.filter_map(descriptor).collect())
}

/// The directory that shows the process: that of another thread where the main thread has ended and shows nothing any more.
fn living_task(pid: u32) -> Option<String> {
    let shows = |task: &String| fs::read(format!("{task}/maps")).is_ok_and(|maps| !maps.is_empty());
    let main = format!("/proc/{pid}");
    if shows(&main) {
        return Some(main);
    }
    let tasks = fs::read_dir(format!("{main}/task")).ok()?;
    tasks
        .filter_map(|task| Some(task.ok()?.path().to_string_lossy().into_owned()))
        .find(shows)
}
