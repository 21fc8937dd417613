//! The machine: whether it and its kernel can run the program at all, how far it is the one of the checkpoint, and what its clocks
//! show.

use core::fmt::Write;

use ckpt_image::cpu::Missing;
use ckpt_image::credentials::NAMESPACE_NAMES;
use ckpt_image::reader::Image;
use ckpt_sys::{calls, cpuid, proc};
use linux_raw_sys::prctl as p;
use restart::clocks::Here;
use restart::files::Place;
use restart::report::{Cause, Composer, Error, Exit, Object};

use crate::{Result, output};

/// Checks processor and kernel. What the program may not need of the processor it may lack if it is to be restored on `any_processor`.
pub fn check(image: &Image<'static>, path: &'static [u8], any_processor: bool) -> Result<()> {
    let refuse = |cause, remedy| Error::new(Exit::Host, Object::Path(path), cause, remedy);
    let here = cpuid::this_cpu();
    let mut missing = Composer::new();
    let mut are_needed = false;
    for feature in image.cpu.missing_on(&here) {
        missing.separate();
        let _ = write!(missing, "{feature}");
        are_needed |= !matches!(feature, Missing::Feature(_));
    }
    if !missing.is_empty() {
        let missing = ckpt_sys::line::Text(missing.finish());
        if any_processor && !are_needed {
            output::warn(format_args!(
                "this processor does not have {missing}; a program that uses it ends by SIGILL"
            ));
        } else {
            let mut why = Composer::new();
            let _ = write!(why, "needs what this processor does not have: {missing}");
            return Err(refuse(
                Cause::Composed(why.finish()),
                if are_needed {
                    "restore it on a machine with these features"
                } else {
                    "restore it on a machine with these features, or with --any-processor if it uses none of them"
                },
            ));
        }
    }
    if !any_processor && image.cpu.has_no_room_for(&here) {
        return Err(refuse(
            Cause::Because(
                "was started on a processor without XSAVEC, and this one has registers for which its libc has no room",
            ),
            "restore it on such a processor, or start it with LD_BIND_NOW=1 and restore it with --any-processor",
        ));
    }
    let mut size = 0u32;
    let arguments = [p::PR_SET_MM_MAP_SIZE as usize, &raw mut size as usize, 0, 0];
    // SAFETY: for this option the kernel writes one number.
    let known = unsafe { calls::prctl(p::PR_SET_MM, arguments) };
    match known {
        Ok(_) if size as usize == size_of::<p::prctl_mm_map>() => Ok(()),
        Ok(_) => Err(refuse(
            Cause::Because("this kernel has another struct prctl_mm_map"),
            "use another kernel",
        )),
        Err(errno) => Err(refuse(
            Cause::Failed("this kernel cannot set PR_SET_MM_MAP", errno),
            "use a kernel with CONFIG_CHECKPOINT_RESTORE",
        )),
    }
}

/// Where the program is restored. Asked once: what `/proc` tells takes microseconds each time.
#[derive(Clone, Copy)]
pub struct Machine {
    /// How far it is the machine of the checkpoint.
    pub place: Place,
    /// Whether ids of System V objects mean the same as at the checkpoint.
    pub same_ipc_ids: bool,
    boot_id: [u8; 16],
    time_namespace: u64,
}

impl Machine {
    /// Looks.
    pub fn look(image: &Image<'_>) -> Self {
        let boot_id = proc::boot_id();
        let place = Place::of(&image.header, boot_id, proc::machine_id());
        let same_namespace = image.credentials.ipc_namespace() == proc::ipc_namespace();
        Self {
            place,
            same_ipc_ids: place == Place::SameBoot && same_namespace,
            boot_id,
            time_namespace: proc::time_namespace(),
        }
    }

    /// Says so if the program was in namespaces in which it will not be, as far as that can be told: in another boot, or on another
    /// machine, the same one has another number. (The others are what the program's ids, or `--pid`, are about. Where that was given
    /// before, it has made a user, a PID and a mount namespace, and with `will_have_id` it does so again.)
    pub fn warn_of_namespaces(&self, image: &Image<'_>, will_have_id: bool) {
        if self.place != Place::SameBoot {
            return;
        }
        let saved = || NAMESPACE_NAMES.iter().zip(&image.credentials.namespaces);
        let differs = |&(name, inode): &(&&str, &u64)| proc::namespace(name) != *inode;
        let made_for_id = ["mnt", "pid", "user"];
        let is_made_for_id =
            will_have_id && saved().all(|one| differs(&one) == made_for_id.contains(one.0));
        let mut others = Composer::new();
        let counts =
            |(name, _): &(&&str, &u64)| ["mnt", "net", "uts"].contains(name) && !is_made_for_id;
        for (name, _) in saved().filter(counts).filter(differs) {
            others.separate();
            let _ = write!(others, "{name}");
        }
        if !others.is_empty() {
            let others = ckpt_sys::line::Text(others.finish());
            output::warn(format_args!(
                "the program was in other namespaces ({others}); it goes on in those of the restorer"
            ));
        }
    }

    /// The clocks that count from a boot.
    pub fn clocks(&self) -> Here {
        Here {
            boot_id: self.boot_id,
            time_namespace: self.time_namespace,
            kernel: proc::clocks_from_boot(),
        }
    }

    /// Whether those are the ones of the image.
    pub fn has_clocks_of(&self, image: &Image<'_>) -> bool {
        self.clocks().has(&image.clocks, image.header.boot_id)
    }
}
