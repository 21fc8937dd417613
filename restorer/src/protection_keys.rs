//! The program's protection keys (pkeys(7)).

use ckpt_image::memory_settings::{PROTECTION_KEYS, ProtectionKeys};
use ckpt_image::reader::Image;
use ckpt_sys::{Errno, calls, protection_keys};
use linux_raw_sys::general as n;
use restart::report::{Cause, Error, Exit, Object};

use crate::Result;

/// What a page is, in bytes, for mmap(2).
const PAGE: usize = ckpt_image::PAGE as usize;

/// Every key there is. Memory may have one that the program has given back, or the kernel would give the program's to memory that may
/// only be executed.
pub struct Taken {
    saved: ProtectionKeys,
}

impl Taken {
    /// Takes them, if the program used any, before its memory is mapped.
    pub fn for_memory_of(image: &Image<'_>) -> Result<Option<Self>> {
        let saved = image.objects::<ProtectionKeys>().next();
        saved.map(Self::take).transpose()
    }

    fn take(saved: ProtectionKeys) -> Result<Self> {
        let failed = |errno| {
            Error::new(
                Exit::Host,
                Object::Thing("protection keys (pkey_alloc)"),
                Cause::Failed("cannot take the program's", errno),
                "restore it where the processor and the kernel have them",
            )
        };
        for _ in 1..PROTECTION_KEYS {
            protection_keys::allocate().map_err(failed)?;
        }
        if saved.execute_only != 0 {
            protection_keys::free(saved.execute_only)
                .and_then(|()| use_free_one_for_code())
                .map_err(failed)?;
        }
        Ok(Self { saved })
    }

    /// Leaves the process those that the program had, when all memory has its own.
    pub fn leave(self) {
        let Self { saved } = self;
        let others = (1..PROTECTION_KEYS)
            .filter(|&key| key != saved.execute_only && !saved.has_allocated(key));
        for key in others {
            // It was allocated.
            let _ = protection_keys::free(key);
        }
    }
}

/// Has the kernel keep the only key that is free for memory that may only be executed (`__execute_only_pkey` in
/// arch/x86/mm/pkeys.c).
fn use_free_one_for_code() -> core::result::Result<(), Errno> {
    let flags = n::MAP_PRIVATE | n::MAP_ANONYMOUS;
    // SAFETY: the page is new, and nobody uses it.
    unsafe {
        let page = calls::map(0, PAGE, n::PROT_EXEC, flags, -1, 0)?;
        calls::unmap(page, PAGE)?;
    }
    // None is left, if the kernel has taken it.
    match protection_keys::allocate() {
        Ok(_) => Err(Errno::EINVAL),
        Err(_) => Ok(()),
    }
}
