//! Lines of `/proc/PID/maps` (proc_pid_maps(5)).

use ckpt_image::segments::Span;

use crate::Errno;
use crate::bytes::{hex, number};
use crate::line::Path;

/// One line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapsLine<'t> {
    /// Addresses.
    pub span: Span,
    /// `PROT_*` bits.
    pub protection: u32,
    /// Whether the mapping is shared.
    pub shared: bool,
    /// Offset in the file, in bytes.
    pub offset: u64,
    /// Major and minor number of the device.
    pub device: (u32, u32),
    /// Inode, 0 where there is no file.
    pub inode: u64,
    /// The last column as it stands there, with newlines escaped as `\012`.
    pub name: &'t [u8],
}

impl<'t> MapsLine<'t> {
    /// Reads one line, without its newline.
    #[must_use]
    pub fn parse(line: &'t [u8]) -> Option<Self> {
        let mut rest = line;
        let mut field = || {
            let start = rest.iter().position(|&byte| byte != b' ')?;
            let from = &rest[start..];
            let end = from
                .iter()
                .position(|&byte| byte == b' ')
                .unwrap_or(from.len());
            rest = &from[end..];
            Some(&from[..end])
        };
        let (addresses, permissions, offset, device, inode) =
            (field()?, field()?, field()?, field()?, field()?);
        let dash = addresses.iter().position(|&byte| byte == b'-')?;
        let colon = device.iter().position(|&byte| byte == b':')?;
        let &[r, w, x, p] = permissions else {
            return None;
        };
        let bit = |letter: u8, set: u8, value: u32| if letter == set { value } else { 0 };
        let name_at = rest
            .iter()
            .position(|&byte| byte != b' ')
            .unwrap_or(rest.len());
        Some(Self {
            span: Span::new(hex(&addresses[..dash])?, hex(&addresses[dash + 1..])?),
            protection: bit(r, b'r', 1) | bit(w, b'w', 2) | bit(x, b'x', 4),
            shared: p == b's',
            offset: hex(offset)?,
            device: (
                hex(&device[..colon])? as u32,
                hex(&device[colon + 1..])? as u32,
            ),
            inode: number(inode, 10)?,
            name: &rest[name_at..],
        })
    }

    /// The device number as stat(2) has it (`makedev(3)`).
    #[must_use]
    pub fn device_number(&self) -> u64 {
        let (major, minor) = (u64::from(self.device.0), u64::from(self.device.1));
        (minor & 0xff) | (major & 0xfff) << 8 | (minor & !0xff) << 12 | (major & !0xfff) << 32
    }

    /// Whether this is the vdso or one of its data areas, whatever their number on this kernel is.
    #[must_use]
    pub fn is_vdso(&self) -> bool {
        self.name == b"[vdso]" || self.name.starts_with(b"[vvar")
    }

    /// Whether the mapping is the kernel's own, the same in every process, and stays: the vsyscall page.
    #[must_use]
    pub fn is_vsyscall(&self) -> bool {
        self.name == b"[vsyscall]"
    }
}

/// The path that the last column names: it has `\012` for a newline.
///
/// # Errors
/// If it is longer than the kernel takes.
pub fn path_of(name: &[u8]) -> Result<Path, Errno> {
    const NEWLINE: &[u8] = b"\\012";
    let mut path = Path::new();
    let mut rest = name;
    while let Some(at) = rest
        .windows(NEWLINE.len())
        .position(|window| window == NEWLINE)
    {
        path.push(&rest[..at]);
        path.push(b"\n");
        rest = &rest[at + NEWLINE.len()..];
    }
    path.push(rest);
    if path.is_cut() {
        Err(Errno::ENAMETOOLONG)
    } else {
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_a_file() {
        let line = MapsLine::parse(b"7fe9ff58a000-7fe9ff5b0000 r-xp 00026000 fe:10 326279                     /usr/my lib.so");
        let line = line.unwrap();
        assert_eq!(line.span, Span::new(0x7fe9_ff58_a000, 0x7fe9_ff5b_0000));
        assert_eq!(
            (line.protection, line.shared, line.offset),
            (5, false, 0x26000)
        );
        assert_eq!((line.device, line.inode), ((0xfe, 0x10), 326_279));
        assert_eq!(line.name, b"/usr/my lib.so");
        assert_eq!(line.device_number(), 0xfe10);
    }

    #[test]
    fn lines_without_a_name() {
        let line = MapsLine::parse(b"7fe9ff505000-7fe9ff527000 rw-s 00000000 00:01 5 ").unwrap();
        assert!(line.shared && line.name.is_empty());
        assert!(
            MapsLine::parse(b"7fe9ff505000-7fe9ff527000 ---p 00000000 00:00 0")
                .unwrap()
                .name
                .is_empty()
        );
    }

    #[test]
    fn what_is_no_line_is_refused() {
        assert_eq!(MapsLine::parse(b""), None);
        assert_eq!(MapsLine::parse(b"7fe9ff505000 rw-p 0 0:0 0"), None);
    }

    #[test]
    fn only_newlines_are_shown_otherwise() {
        let path = |name: &[u8]| path_of(name).unwrap().as_bytes().to_vec();
        assert_eq!(path(b"/a\\012b\\c d"), b"/a\nb\\c d");
        assert_eq!(path(b"\\01"), b"\\01");
        assert!(path_of(&[b'a'; 5000]).is_err());
    }
}
