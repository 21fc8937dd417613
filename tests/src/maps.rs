//! `/proc/PID/maps`, in a form in which two processes can be compared.

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;

/// Neighbouring lines of equal backing and permissions, taken together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region {
    /// First address.
    pub start: u64,
    /// First address behind it.
    pub end: u64,
    /// Four letters such as `rw-p`.
    pub permissions: String,
    /// Offset in the backing file; 0 if there is none.
    pub offset: u64,
    /// Path of the backing file or a label such as `[heap]`; empty for private anonymous memory.
    pub name: String,
}

/// The regions of a process, whose directory below `/proc` is `task`. A private mapping of a file that is gone or has been replaced counts as anonymous memory:
/// that is what a restored process has in its place. So does a mapping of an image, since it stands for anonymous memory.
/// Nothing if the process is gone.
#[must_use]
pub fn regions(task: &str) -> Option<Vec<Region>> {
    let text = fs::read_to_string(format!("{task}/maps")).ok()?;
    Some(joined(text.lines().map(region)))
}

/// Joins what continues each other.
fn joined(regions: impl Iterator<Item = Region>) -> Vec<Region> {
    let mut all: Vec<Region> = Vec::new();
    for next in regions {
        match all.last_mut() {
            Some(last) if last.is_continued_by(&next) => last.end = next.end,
            _ => all.push(next),
        }
    }
    all
}

/// The regions without the names that the kernel or the program has given to anonymous memory: a mapping has no such names.
pub fn without_labels(regions: Vec<Region>) -> Vec<Region> {
    let is_label = |name: &str| name == "[heap]" || name.starts_with("[anon:");
    joined(regions.into_iter().map(|mut region| {
        if is_label(&region.name) {
            region.name.clear();
        }
        region
    }))
}

impl Region {
    fn is_continued_by(&self, next: &Region) -> bool {
        let has_offset = self.name.starts_with('/');
        self.end == next.start
            && self.permissions == next.permissions
            && self.name == next.name
            && (!has_offset || self.offset + (self.end - self.start) == next.offset)
    }

    /// Whether the memory has no file behind it.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        !self.name.starts_with('/')
    }
}

fn region(line: &str) -> Region {
    let mut fields = line.splitn(6, ' ');
    let mut field = || {
        fields
            .next()
            .expect("a line of maps has at least five fields")
    };
    let (start, end) = field().split_once('-').expect("a range has two ends");
    let hexadecimal = |text| u64::from_str_radix(text, 16).expect("addresses are hexadecimal");
    let (start, end) = (hexadecimal(start), hexadecimal(end));
    let permissions = field().to_owned();
    let mut offset = hexadecimal(field());
    let _device = field();
    let inode = field().to_owned();
    let mut name = fields.next().unwrap_or_default().trim_start().to_owned();
    let gone = || fs::metadata(&name).map_or(true, |file| file.ino().to_string() != inode);
    let private = permissions.ends_with('p');
    if private && name.starts_with('/') && (gone() || is_image(&name)) {
        name.clear();
    }
    if name.is_empty() || name.starts_with('[') {
        offset = 0;
    }
    Region {
        start,
        end,
        permissions,
        offset,
        name,
    }
}

/// Whether a file is a core file, which nobody else maps.
fn is_image(path: &str) -> bool {
    const ET_CORE: u8 = 4;
    let mut head = [0; 17];
    fs::File::open(path).is_ok_and(|mut file| file.read_exact(&mut head).is_ok())
        && head.starts_with(b"\x7fELF")
        && head[16] == ET_CORE
}
