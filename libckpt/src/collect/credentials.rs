//! Ids, capabilities and restrictions.

use ckpt_image::credentials::Credentials;
use ckpt_sys::{Line, MapVec, calls, proc};
use linux_raw_sys::prctl::{PR_GET_NO_NEW_PRIVS, PR_GET_SECUREBITS};

use crate::failure::{Doing, Failure, failure};
use crate::signal::Owned;

/// The groups of the last checkpoint, as bytes. In a namespace that was made for a restored process it cannot see its groups
/// (they look like nobody's), but they are these.
#[derive(Debug)]
struct Remembered {
    groups: Line<{ 4 * GROUPS }>,
    /// Inode of that namespace, 0 if there was none.
    namespace: u64,
}

/// How many are remembered. Who has more cannot restore, without a namespace, an image that was written in one.
const GROUPS: usize = 256;

static REMEMBERED: Owned<Remembered> = Owned::new(Remembered {
    groups: Line::new(),
    namespace: 0,
});

/// Notes that the restored process is in the user namespace `made`, if one was made for it.
pub fn settle_in(made: u64) {
    // SAFETY: the caller runs on libckpt's stack.
    let remembered = unsafe { REMEMBERED.get() };
    remembered.namespace = made;
}

/// Reads them; `groups` receives the supplementary groups as bytes, since their number has no small limit.
///
/// # Errors
/// [`Failure`] if the program has put itself under a seccomp filter, which nobody can put back.
pub fn collect<'g>(
    status: &proc::Status,
    filters_at_start: u64,
    groups: &'g mut MapVec<u8>,
) -> Result<Credentials<'g>, Failure> {
    let filters = status.decimal("Seccomp_filters");
    let mode = status.decimal("Seccomp");
    if filters > filters_at_start || mode == 1 {
        return Err(failure!(
            "the program has put itself under a seccomp filter: it could not be put back, and without it the restored \
             program would have more rights; start it without"
        ));
    }
    // SAFETY: the caller runs on libckpt's stack.
    let remembered = unsafe { REMEMBERED.get() };
    let no_memory = || format_args!("memory for the groups");
    let cannot_see = remembered.namespace != 0 && remembered.namespace == proc::user_namespace();
    if cannot_see && !remembered.groups.is_cut() {
        let kept = remembered.groups.as_bytes();
        groups.extend(kept).doing(no_memory())?;
    } else {
        for group in status.groups() {
            groups.extend(&group.to_le_bytes()).doing(no_memory())?;
        }
        remembered.groups = Line::new();
        remembered.groups.push(groups);
    }
    // SAFETY: both options take no address.
    let option = |option| unsafe { calls::prctl(option, [0; 4]) }.unwrap_or(0) as u32;
    Ok(Credentials {
        uids: status.ids("Uid"),
        gids: status.ids("Gid"),
        capabilities: status.capabilities(),
        securebits: option(PR_GET_SECUREBITS),
        no_new_privs: option(PR_GET_NO_NEW_PRIVS),
        seccomp: mode as u32,
        seccomp_filters: filters as u32,
        namespaces: proc::namespaces(),
        groups,
    })
}
