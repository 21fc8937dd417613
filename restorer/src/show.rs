//! The plan as text, for `--plan`: one line for each step and operation.

use core::fmt;

use ckpt_image::regions::{PROT_EXEC, PROT_READ, PROT_WRITE};
use ckpt_image::segments::Span;
use ckpt_sys::line::Text;
use linux_raw_sys::general as n;

use crate::operations::Operation;
use crate::plan::Step;

/// A protection, as `/proc/PID/maps` shows it.
struct Protection(u32);

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (bit, letter) in [(PROT_READ, 'r'), (PROT_WRITE, 'w'), (PROT_EXEC, 'x')] {
            let shown = if self.0 & bit != 0 { letter } else { '-' };
            write!(f, "{shown}")?;
        }
        Ok(())
    }
}

/// Names of flags, with a bar between them.
struct Names<'n>(u32, &'n [(u32, &'static str)]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (bit, name) in self.1 {
            if self.0 & bit != 0 {
                write!(f, "{separator}{name}")?;
                separator = "|";
            }
        }
        Ok(())
    }
}

const MAP_FLAGS: [(u32, &str); 7] = [
    (n::MAP_SHARED, "shared"),
    (n::MAP_PRIVATE, "private"),
    (n::MAP_DROPPABLE, "droppable"),
    (n::MAP_ANONYMOUS, "anonymous"),
    (n::MAP_NORESERVE, "noreserve"),
    (n::MAP_GROWSDOWN, "growsdown"),
    (n::MAP_HUGETLB, "hugetlb"),
];

const ADVICE: [(u32, &str); 8] = [
    (n::MADV_HUGEPAGE, "hugepage"),
    (n::MADV_NOHUGEPAGE, "nohugepage"),
    (n::MADV_SEQUENTIAL, "sequential"),
    (n::MADV_RANDOM, "random"),
    (n::MADV_MERGEABLE, "mergeable"),
    (n::MADV_DONTDUMP, "dontdump"),
    (n::MADV_DONTFORK, "dontfork"),
    (n::MADV_WIPEONFORK, "wipeonfork"),
];

const CALLS: [(u32, &str, usize); 5] = [
    (n::__NR_munmap, "munmap", 2),
    (n::__NR_mremap, "mremap", 5),
    (n::__NR_mseal, "mseal", 3),
    (n::__NR_arch_prctl, "arch_prctl", 2),
    (n::__NR_close, "close", 1),
];

/// Addresses, as `/proc/PID/maps` shows them.
struct Range(Span);

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:x}", self.0.start, self.0.end)
    }
}

impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Map {
                span,
                protection,
                flags,
                file,
            } => {
                let (protection, flags) = (Protection(protection), Names(flags, &MAP_FLAGS));
                write!(f, "map {} {protection} {flags}", Range(span))?;
                match file {
                    Some(file) => write!(f, " {:#x} {}", file.offset, Text(file.path)),
                    None => Ok(()),
                }
            }
            Self::MapImage {
                piece,
                protection,
                flags,
            } => {
                let (protection, flags) = (Protection(protection), Names(flags, &MAP_FLAGS));
                let range = Range(piece.span);
                write!(
                    f,
                    "map {range} {protection} {flags} {:#x} of the image",
                    piece.offset
                )
            }
            Self::Duplicate { from, to } => write!(f, "duplicate {} to {to:x}", Range(from)),
            Self::Fresh(span) => write!(f, "fresh {}", Range(span)),
            Self::Enlarge(span) => write!(f, "enlarge {}", Range(span)),
            Self::Fill {
                to,
                offset,
                checksum,
            } => write!(f, "fill {} from {offset:#x} crc {checksum:08x}", Range(to)),
            Self::Filled => write!(f, "wait until all is filled"),
            Self::Write { at, .. } => write!(f, "redirect {at:x}"),
            Self::NoteOwner { at } => write!(f, "note owner {at:x}"),
            Self::Protect {
                span,
                protection,
                key,
            } => {
                write!(f, "protect {} {}", Range(span), Protection(protection))?;
                match key {
                    0 => Ok(()),
                    _ => write!(f, " key {key}"),
                }
            }
            Self::Advise { span, advice, .. } => {
                let name = ADVICE.iter().find(|(number, _)| *number == advice);
                write!(
                    f,
                    "advise {} {}",
                    Range(span),
                    name.map_or("?", |name| name.1)
                )
            }
            Self::Guard(span) => write!(f, "guard {}", Range(span)),
            Self::Policy(policy) => {
                let span = Span::new(policy.start, policy.end);
                write!(f, "policy {} {:#x}", Range(span), policy.mode)
            }
            Self::Lock { span, on_fault } => {
                let when = if on_fault { " on fault" } else { "" };
                write!(f, "lock {}{when}", Range(span))
            }
            Self::Name(span, name) => write!(f, "name {} {}", Range(span), Text(name)),
            Self::Unmap(span) => write!(f, "unmap {}", Range(span)),
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let call = CALLS
            .iter()
            .find(|(number, ..)| u64::from(*number) == self.number);
        let &(_, name, count) = call.unwrap_or(&(0, "?", 6));
        write!(f, "{name}(")?;
        for (index, argument) in self.arguments[..count].iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{argument:#x}")?;
        }
        if self.mask == 0 {
            write!(f, ") = any")
        } else {
            write!(f, ") = {:#x}", self.expected)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::MappedFile;
    use ckpt_image::regions::{Backing, FileIdentity};

    #[test]
    fn steps_are_lines() {
        let step = Step::Map {
            span: Span::new(0x1000, 0x3000),
            protection: PROT_READ | PROT_EXEC,
            flags: n::MAP_PRIVATE,
            file: Some(MappedFile {
                path: b"/lib/a\nb.so",
                offset: 0x2000,
                identity: FileIdentity::default(),
                backing: Backing::PrivateFile,
                is_thin: false,
            }),
        };
        assert_eq!(
            step.to_string(),
            "map 1000-3000 r-x private 0x2000 /lib/a\\nb.so"
        );
    }

    #[test]
    fn a_protection_key_is_shown_where_there_is_one() {
        let protect = |key| Step::Protect {
            span: Span::new(0x1000, 0x3000),
            protection: PROT_READ,
            key,
        };
        assert_eq!(protect(0).to_string(), "protect 1000-3000 r--");
        assert_eq!(protect(5).to_string(), "protect 1000-3000 r-- key 5");
    }

    #[test]
    fn operations_are_calls() {
        let operation = Operation {
            number: u64::from(n::__NR_munmap),
            arguments: [0x5000, 0x1000, 0, 0, 0, 0],
            mask: u64::MAX,
            expected: 0,
            message: 0,
            message_length: 0,
        };
        assert_eq!(operation.to_string(), "munmap(0x5000, 0x1000) = 0x0");
    }
}
