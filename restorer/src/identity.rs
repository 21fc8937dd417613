//! Never more rights than before: compares who the process was with who runs the restorer.

use ckpt_image::credentials::Credentials;
use linux_raw_sys::general as n;

/// Who runs the restorer.
#[derive(Clone, Copy, Debug)]
pub struct Now<'a> {
    /// Real, effective, saved user id, and the one for file access.
    pub uids: [u32; 4],
    /// The same for the group.
    pub gids: [u32; 4],
    /// Supplementary groups.
    pub groups: &'a [u32],
    /// Inheritable, permitted, effective, bounding and ambient capabilities.
    pub capabilities: [u64; 5],
    /// `PR_GET_SECUREBITS`.
    pub securebits: u32,
    /// Number of seccomp filters.
    pub seccomp_filters: u32,
}

/// Bit of a capability in a set.
#[must_use]
pub const fn capability(number: u32) -> u64 {
    1 << number
}

/// What has to change so that the process is who it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing but capabilities that it did not have.
    Nothing,
    /// User, group and groups.
    Ids,
}

/// Why the process cannot be who it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It was somebody else.
    OtherUser,
    /// It had fewer groups.
    MoreGroups,
    /// It was held back by securebits.
    Securebits,
    /// It was held back by seccomp filters.
    Filters,
}

/// Compares the process with `now`.
///
/// # Errors
/// [`Refusal`], where the difference would be more rights, or cannot be made.
pub fn decide(saved: &Credentials<'_>, now: &Now<'_>) -> Result<Change, Refusal> {
    let effective = now.capabilities[2];
    let may = |number| effective & capability(number) != 0;
    if saved.seccomp_filters > now.seccomp_filters {
        return Err(Refusal::Filters);
    }
    if saved.securebits != now.securebits && !may(n::CAP_SETPCAP) {
        return Err(Refusal::Securebits);
    }
    let same_user = saved.uids == now.uids && saved.gids == now.gids;
    let same_groups = saved.groups().eq(now.groups.iter().copied());
    if same_user && same_groups {
        return Ok(Change::Nothing);
    }
    if may(n::CAP_SETUID) && may(n::CAP_SETGID) {
        return Ok(Change::Ids);
    }
    if !same_user {
        return Err(Refusal::OtherUser);
    }
    let has = |group: &u32| saved.groups().any(|saved| saved == *group);
    if now.groups.iter().all(has) {
        Ok(Change::Nothing)
    } else {
        Err(Refusal::MoreGroups)
    }
}

/// Inheritable, permitted and effective capabilities that the process had and that are still permitted.
#[must_use]
pub fn remaining(saved: &[u64; 5], now: &[u64; 5]) -> [u64; 3] {
    let permitted = saved[1] & now[1];
    [saved[0] & now[0], permitted, saved[2] & permitted]
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: u64 = (1 << 41) - 1;

    fn saved(uid: u32, groups: &[u8]) -> Credentials<'_> {
        Credentials {
            uids: [uid; 4],
            gids: [uid; 4],
            capabilities: [0; 5],
            securebits: 0,
            no_new_privs: 0,
            seccomp: 0,
            seccomp_filters: 0,
            namespaces: [0; 7],
            groups,
        }
    }

    fn now(uid: u32, groups: &[u32], effective: u64) -> Now<'_> {
        Now {
            uids: [uid; 4],
            gids: [uid; 4],
            groups,
            capabilities: [0, effective, effective, ALL, 0],
            securebits: 0,
            seccomp_filters: 0,
        }
    }

    #[test]
    fn the_same_user_needs_nothing() {
        assert_eq!(
            decide(&saved(7, &[9, 0, 0, 0]), &now(7, &[9], 0)),
            Ok(Change::Nothing)
        );
        assert_eq!(
            decide(&saved(7, &[9, 0, 0, 0]), &now(7, &[], 0)),
            Ok(Change::Nothing)
        );
    }

    #[test]
    fn root_becomes_the_user_and_nobody_becomes_root() {
        assert_eq!(decide(&saved(7, &[]), &now(0, &[], ALL)), Ok(Change::Ids));
        assert_eq!(
            decide(&saved(0, &[]), &now(7, &[], 0)),
            Err(Refusal::OtherUser)
        );
        assert_eq!(
            decide(&saved(7, &[]), &now(7, &[27], 0)),
            Err(Refusal::MoreGroups)
        );
    }

    #[test]
    fn restrictions_stay() {
        let mut filtered = saved(7, &[]);
        filtered.seccomp_filters = 1;
        assert_eq!(
            decide(&filtered, &now(7, &[], ALL)),
            Err(Refusal::Filters),
            "whoever restores it"
        );
        let mut bits = saved(7, &[]);
        bits.securebits = 1;
        assert_eq!(decide(&bits, &now(7, &[], 0)), Err(Refusal::Securebits));
    }

    #[test]
    fn capabilities_only_shrink() {
        assert_eq!(
            remaining(&[0, 6, 2, 0, 0], &[1, 3, 3, ALL, 0]),
            [0, 2, 2],
            "both had it"
        );
    }
}
