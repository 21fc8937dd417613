//! Files are not rolled back; this says when that matters.

use ckpt_image::header::Header;
use ckpt_image::regions::FileIdentity;
use ckpt_sys::calls;
use linux_raw_sys::general as n;

use crate::moves::Moves;

/// How far this machine is the one where the image was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Same machine, not rebooted since: device and inode numbers mean the same.
    SameBoot,
    /// Same machine, rebooted: device numbers may have changed, inode numbers have not.
    SameMachine,
    /// Numbers mean nothing here.
    Elsewhere,
}

impl Place {
    /// Compares the ids in `header` with this machine's.
    #[must_use]
    pub fn of(header: &Header<'_>, boot_id: [u8; 16], machine_id: [u8; 16]) -> Self {
        if header.boot_id == boot_id && boot_id != [0; 16] {
            Self::SameBoot
        } else if header.machine_id == machine_id && machine_id != [0; 16] {
            Self::SameMachine
        } else {
            Self::Elsewhere
        }
    }

    /// What holds for the file `path`: of one that the user has said to be elsewhere now, the numbers mean nothing.
    #[must_use]
    pub fn unless_moved(self, moves: Moves<'_>, path: &[u8]) -> Self {
        match moves.of(path) {
            Some(_) => Self::Elsewhere,
            None => self,
        }
    }

    fn is_other_file(self, saved: &FileIdentity, now: &FileIdentity) -> bool {
        match self {
            Self::SameBoot => saved.inode != now.inode || !may_be_one_device(saved, now),
            Self::SameMachine => saved.inode != now.inode,
            Self::Elsewhere => false,
        }
    }
}

/// Whether two files may be on one device. File systems without one of their own (overlayfs, NFS, btrfs, tmpfs) get another number, with
/// major 0, each time they are mounted.
fn may_be_one_device(saved: &FileIdentity, now: &FileIdentity) -> bool {
    let has_number = |file: &FileIdentity| calls::major(file.device) != 0;
    saved.device == now.device || !has_number(saved) && !has_number(now)
}

/// How the program can use a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It only reads.
    Read,
    /// It only writes, or only at the end; the offset it goes on at, in bytes.
    Output(u64),
    /// It reads what it has written: a database, or memory shared with the file.
    InPlace,
}

impl Access {
    /// What the status flags of a descriptor allow.
    #[must_use]
    pub fn of_flags(flags: u32, offset: u64) -> Self {
        if flags & n::O_PATH != 0 || flags & n::O_ACCMODE == n::O_RDONLY {
            Self::Read
        } else if flags & n::O_ACCMODE == n::O_WRONLY || flags & n::O_APPEND != 0 {
            Self::Output(offset)
        } else {
            Self::InPlace
        }
    }
}

/// Whether the program can go on with a file as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing has changed that it would notice.
    Fine,
    /// It may notice, but no data can be lost.
    Warn(&'static str),
    /// Going on could damage data, so it needs the user's word.
    Refuse(&'static str),
}

/// Compares a file with what it was at the checkpoint.
#[must_use]
pub fn judge(saved: &FileIdentity, now: &FileIdentity, access: Access, place: Place) -> Verdict {
    const OTHER: &str = "is another file than at the checkpoint";
    const CHANGED: &str = "has changed since the checkpoint";
    let other = place.is_other_file(saved, now);
    let changed = !saved.same_content(now);
    match access {
        Access::Read if changed => Verdict::Warn(CHANGED),
        Access::Read => Verdict::Fine,
        Access::Output(_) | Access::InPlace if other => Verdict::Refuse(OTHER),
        Access::Output(offset) if now.size < offset.min(saved.size) => {
            Verdict::Refuse("is shorter than what the program had written")
        }
        Access::InPlace if changed => Verdict::Refuse(CHANGED),
        Access::Output(_) | Access::InPlace => Verdict::Fine,
    }
}

/// Whether a mapping of the file holds what it held at the checkpoint. Where the image does not hold it (`is_thin`), a copy of the
/// file, on another machine, too, is as good: there is nothing else.
#[must_use]
pub fn can_be_mapped(saved: &FileIdentity, now: &FileIdentity, is_thin: bool) -> bool {
    !saved.is_unknown() && (saved == now || is_thin && saved.same_content(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAVED: FileIdentity = FileIdentity {
        device: 0x801,
        inode: 2,
        size: 100,
        modified: 5,
        changed: 5,
    };

    fn with(change: impl Fn(&mut FileIdentity)) -> FileIdentity {
        let mut now = SAVED;
        change(&mut now);
        now
    }

    #[test]
    fn a_grown_output_is_fine_and_a_cut_one_is_not() {
        let grown = with(|now| (now.size, now.modified) = (200, 9));
        let cut = with(|now| (now.size, now.modified) = (50, 9));
        let output = Access::of_flags(n::O_WRONLY, 100);
        assert_eq!(
            judge(&SAVED, &grown, output, Place::SameBoot),
            Verdict::Fine
        );
        assert!(matches!(
            judge(&SAVED, &cut, output, Place::SameBoot),
            Verdict::Refuse(_)
        ));
        let beyond_its_end = Access::Output(1000);
        assert_eq!(
            judge(&SAVED, &grown, beyond_its_end, Place::SameBoot),
            Verdict::Fine
        );
    }

    #[test]
    fn a_file_on_what_was_mounted_again_is_the_same() {
        let judge_between = |before: u64, after: u64| {
            let (saved, now) = [before, after]
                .map(|device| with(|file| file.device = device))
                .into();
            judge(&saved, &now, Access::InPlace, Place::SameBoot)
        };
        assert_eq!(judge_between(0x33, 0x34), Verdict::Fine);
        assert!(matches!(judge_between(0x801, 0x802), Verdict::Refuse(_)));
        assert!(matches!(judge_between(0x801, 0x34), Verdict::Refuse(_)));
    }

    #[test]
    fn a_file_written_in_place_must_not_change() {
        let touched = with(|now| now.modified = 6);
        assert_eq!(
            judge(&SAVED, &SAVED, Access::InPlace, Place::Elsewhere),
            Verdict::Fine
        );
        assert!(matches!(
            judge(&SAVED, &touched, Access::InPlace, Place::Elsewhere),
            Verdict::Refuse(_)
        ));
        assert!(matches!(
            judge(&SAVED, &touched, Access::Read, Place::Elsewhere),
            Verdict::Warn(_)
        ));
        assert_eq!(
            Access::of_flags(n::O_RDWR | n::O_APPEND, 7),
            Access::Output(7)
        );
        assert_eq!(Access::of_flags(n::O_RDWR, 7), Access::InPlace);
    }

    #[test]
    fn another_file_counts_where_numbers_mean_something() {
        let other = with(|now| now.inode = 3);
        let renumbered = with(|now| now.device = 3);
        let output = Access::Output(0);
        assert!(matches!(
            judge(&SAVED, &other, output, Place::SameMachine),
            Verdict::Refuse(_)
        ));
        assert_eq!(
            judge(&SAVED, &other, output, Place::Elsewhere),
            Verdict::Fine
        );
        assert_eq!(
            judge(&SAVED, &renumbered, output, Place::SameMachine),
            Verdict::Fine
        );
        assert!(matches!(
            judge(&SAVED, &renumbered, output, Place::SameBoot),
            Verdict::Refuse(_)
        ));
        assert_eq!(
            judge(&SAVED, &other, Access::Read, Place::SameBoot),
            Verdict::Fine
        );
    }

    #[test]
    fn only_the_very_same_file_is_mapped_or_a_copy_where_nothing_else_is_there() {
        let copy = with(|now| now.changed = 6);
        for is_thin in [false, true] {
            assert!(can_be_mapped(&SAVED, &SAVED, is_thin));
            assert_eq!(can_be_mapped(&SAVED, &copy, is_thin), is_thin);
            assert!(!can_be_mapped(
                &SAVED,
                &with(|now| now.modified = 6),
                is_thin
            ));
            let unknown = FileIdentity::default();
            assert!(!can_be_mapped(&unknown, &unknown, is_thin));
        }
    }
}
