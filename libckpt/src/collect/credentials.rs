//! Ids, capabilities and restrictions.

use ckpt_image::credentials::Credentials;
use ckpt_sys::{MapVec, calls, proc};
use linux_raw_sys::prctl::{PR_GET_NO_NEW_PRIVS, PR_GET_SECUREBITS};

use crate::failure::{Doing, Failure, failure};

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
    for group in status.groups() {
        groups
            .extend(&group.to_le_bytes())
            .doing(format_args!("memory for the groups"))?;
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
