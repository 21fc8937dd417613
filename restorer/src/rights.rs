//! User, groups and capabilities: what the process had, and never more.

use ckpt_image::credentials::Credentials;
use ckpt_image::reader::Image;
use ckpt_sys::proc::Status;
use ckpt_sys::{Errno, MapVec, calls, proc};
use linux_raw_sys::general as n;
use linux_raw_sys::prctl as p;
use restart::identity::{Change, Now, Refusal, capability, decide, remaining};
use restart::report::{Cause, Error, Exit, Object, compose};

use crate::Result;

/// Who the restorer is, and what has to change.
pub struct Rights {
    change: Change,
    uids: [u32; 4],
    gids: [u32; 4],
    groups: MapVec<u32>,
    /// What the process has now.
    capabilities: [u64; 5],
    /// What it may have in the end: what the restorer was started with.
    allowed: [u64; 5],
    securebits: u32,
    user_namespace: u64,
}

/// Capabilities of which one is needed to choose ids of threads, and to say which program a process runs: the newer and the
/// older one (`checkpoint_restore_ns_capable` in include/linux/capability.h).
const RESTORING: [u32; 2] = [n::CAP_CHECKPOINT_RESTORE, n::CAP_SYS_ADMIN];

fn failed(step: &'static str) -> impl Fn(Errno) -> Error<'static> {
    move |errno| {
        Error::new(
            Exit::Resource,
            Object::Thing("the program's identity"),
            Cause::Failed(step, errno),
            "restore it as the user it belonged to",
        )
    }
}

fn refused(refusal: Refusal, saved: &Credentials<'_>) -> Error<'static> {
    let (cause, remedy) = match refusal {
        Refusal::OtherUser => (
            Cause::Composed(compose(format_args!(
                "the program ran as user {} and group {}",
                saved.uids[1], saved.gids[1]
            ))),
            "restore it as that user, or as root",
        ),
        Refusal::MoreGroups => (
            Cause::Because("the program had fewer groups than you have now"),
            "restore it with the groups it had, or as root",
        ),
        Refusal::Securebits => (
            Cause::Because("the program had other securebits (capabilities(7))"),
            "restore it under the same restrictions, or as root",
        ),
        Refusal::Filters => (
            Cause::Because("the program was held by seccomp filters that are not here"),
            "restore it in the same kind of container",
        ),
    };
    Error::new(
        Exit::Resource,
        Object::Thing("the program's identity"),
        cause,
        remedy,
    )
}

/// Calls prctl(2) with one of the options named in this module, none of which takes an address.
fn set(option: u32, first: usize, second: usize) -> core::result::Result<usize, Errno> {
    // SAFETY: the function is private to this module, which only passes options whose arguments are numbers.
    unsafe { calls::prctl(option, [first, second, 0, 0]) }
}

fn securebits() -> u32 {
    set(p::PR_GET_SECUREBITS, 0, 0).unwrap_or_default() as u32
}

impl Rights {
    /// Decides whether the process can be who it was.
    pub fn decide(saved: &Credentials<'_>) -> Result<Self> {
        let status = Status::read().map_err(failed("cannot read /proc/self/status"))?;
        let mut groups = MapVec::new();
        for group in status.groups() {
            groups
                .push(group)
                .map_err(failed("no memory for the groups"))?;
        }
        let capabilities = status.capabilities();
        let securebits = securebits();
        let (uids, gids) = (status.ids("Uid"), status.ids("Gid"));
        let now = Now {
            uids,
            gids,
            groups: &groups,
            capabilities,
            securebits,
            seccomp_filters: status.decimal("Seccomp_filters") as u32,
        };
        let change = decide(saved, &now).map_err(|refusal| refused(refusal, saved))?;
        // Room for the groups of the image, which are needed when nothing may be mapped any more.
        groups.truncate(0);
        for group in saved.groups() {
            groups
                .push(group)
                .map_err(failed("no memory for the groups"))?;
        }
        Ok(Self {
            change,
            uids,
            gids,
            groups,
            capabilities,
            allowed: capabilities,
            securebits,
            user_namespace: 0,
        })
    }

    /// Whether the process has to become somebody else.
    pub fn change_ids(&self) -> bool {
        self.change == Change::Ids
    }

    /// In a new user namespace, in which a process has all capabilities and everybody else's ids look like nobody's.
    pub fn settle_in_namespace(&mut self) -> Result<()> {
        let status = Status::read().map_err(failed("cannot read /proc/self/status"))?;
        if (status.ids("Uid"), status.ids("Gid")) != (self.uids, self.gids) {
            return Err(Error::new(
                Exit::Resource,
                Object::Thing("the program's identity"),
                Cause::Because(
                    "real and effective ids differ, and a namespace can be given one of them",
                ),
                "restore it as root, or without --pid",
            ));
        }
        self.capabilities = status.capabilities();
        self.securebits = securebits();
        self.user_namespace = proc::user_namespace();
        Ok(())
    }

    /// Inode of the user namespace that was made for the process, 0 if there was none.
    pub fn user_namespace(&self) -> u64 {
        self.user_namespace
    }

    /// The capability to choose ids of threads, if the restorer has it; as a bit.
    fn restoring(&self) -> u64 {
        let bits = RESTORING.map(capability);
        let found = bits.into_iter().find(|bit| self.capabilities[1] & bit != 0);
        found.unwrap_or_default()
    }

    /// Whether the restorer may say which program the process runs.
    pub fn may_restore(&self) -> bool {
        self.restoring() != 0
    }

    /// What the process has in the end: inheritable, permitted and effective capabilities.
    fn last(&self, image: &Image<'static>) -> [u64; 3] {
        remaining(&image.credentials.capabilities, &self.allowed)
    }

    /// The same, if [`Self::assume`] leaves it more than that.
    pub fn still_to_drop(&self, image: &Image<'static>) -> Option<[u64; 3]> {
        let last = self.last(image);
        (self.restoring() & !(last[1] & last[2]) != 0).then_some(last)
    }

    /// Becomes who the process was, but for one capability, which goes at the very end.
    pub fn assume(&self, image: &Image<'static>) -> Result<()> {
        let saved = &image.credentials;
        let bounding = saved.capabilities[3] & self.allowed[3];
        for number in 0..64 {
            if self.capabilities[3] & !bounding & capability(number) != 0 {
                // Dropping takes a capability. Who does not have it cannot gain any through the bounding set but by
                // running a set-user-id program, which every user can.
                let _ = set(p::PR_CAPBSET_DROP, number as usize, 0);
            }
        }
        if self.securebits != saved.securebits {
            set(p::PR_SET_SECUREBITS, saved.securebits as usize, 0)
                .map_err(failed("cannot set its securebits"))?;
        }
        if self.change == Change::Ids {
            self.become_user(saved)?;
        }
        self.drop_capabilities(image)?;
        if saved.no_new_privs != 0 {
            set(p::PR_SET_NO_NEW_PRIVS, 1, 0).map_err(failed("cannot set no_new_privs"))?;
        }
        Ok(())
    }

    fn become_user(&self, saved: &Credentials<'_>) -> Result<()> {
        calls::set_groups(&self.groups).map_err(failed("cannot set its groups"))?;
        set(p::PR_SET_KEEPCAPS, 1, 0).map_err(failed("cannot keep its capabilities"))?;
        let [real, effective, of_saved, file] = saved.gids;
        calls::setresgid(real, effective, of_saved).map_err(failed("cannot set its group"))?;
        let _ = calls::setfsgid(file);
        let [real, effective, of_saved, file] = saved.uids;
        calls::setresuid(real, effective, of_saved).map_err(failed("cannot set its user"))?;
        let _ = calls::setfsuid(file);
        set(p::PR_SET_KEEPCAPS, 0, 0).map_err(failed("cannot keep its capabilities"))?;
        Ok(())
    }

    fn drop_capabilities(&self, image: &Image<'static>) -> Result<()> {
        let saved = &image.credentials;
        let [inheritable, permitted, effective] = self.last(image);
        let (permitted, effective) = (permitted | self.restoring(), effective | self.restoring());
        let now = [
            self.capabilities[0],
            self.capabilities[1],
            self.capabilities[2],
        ];
        if self.change == Change::Ids || now != [inheritable, permitted, effective] {
            calls::set_capabilities(effective, permitted, inheritable)
                .map_err(failed("cannot set its capabilities"))?;
        }
        for number in 0..64 {
            if self.capabilities[4] & !saved.capabilities[4] & capability(number) != 0 {
                set(
                    p::PR_CAP_AMBIENT,
                    p::PR_CAP_AMBIENT_LOWER as usize,
                    number as usize,
                )
                .map_err(failed("cannot lower its ambient capabilities"))?;
            }
        }
        Ok(())
    }
}
