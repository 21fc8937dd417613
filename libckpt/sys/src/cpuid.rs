//! What this processor can do.

use core::arch::x86_64::{__cpuid, __cpuid_count};
use core::sync::atomic::{AtomicU8, Ordering};

use ckpt_image::cpu::{COMPONENTS, Cpu, FEATURE_WORDS, Register, WORDS};

/// CPUID leaf 1, ecx: SSE 4.2.
const SSE42: u32 = 1 << 20;
/// CPUID leaf 1, ecx: XSAVE is enabled by the operating system.
const OSXSAVE: u32 = 1 << 27;

/// Whether the `crc32` instruction is there. Asked once: in a virtual machine CPUID costs a microsecond or more.
#[must_use]
pub fn has_sse42() -> bool {
    static KNOWN: AtomicU8 = AtomicU8::new(0);
    match KNOWN.load(Ordering::Relaxed) {
        0 => {
            let has = __cpuid(1).ecx & SSE42 != 0;
            KNOWN.store(1 + u8::from(has), Ordering::Relaxed);
            has
        }
        known => known == 2,
    }
}

/// Features and state layout of this processor.
#[must_use]
pub fn this_cpu() -> Cpu {
    let mut cpu = Cpu {
        features: [0; FEATURE_WORDS],
        xcr0: 0,
        components: [[0; 2]; COMPONENTS],
    };
    for (value, &(leaf, sub_leaf, register)) in cpu.features.iter_mut().zip(&WORDS) {
        let highest = __cpuid(leaf & 0x8000_0000).eax;
        if leaf > highest {
            continue;
        }
        let answer = __cpuid_count(leaf, sub_leaf);
        *value = match register {
            Register::Eax => answer.eax,
            Register::Ebx => answer.ebx,
            Register::Ecx => answer.ecx,
            Register::Edx => answer.edx,
        };
    }
    if __cpuid(1).ecx & OSXSAVE == 0 {
        return cpu;
    }
    // SAFETY: XGETBV exists where OSXSAVE is set.
    cpu.xcr0 = unsafe { xgetbv() };
    for (number, component) in cpu.components.iter_mut().enumerate().skip(2) {
        if cpu.xcr0 >> number & 1 == 1 {
            let answer = __cpuid_count(0xd, number as u32);
            *component = [answer.ebx, answer.eax];
        }
    }
    cpu
}

#[target_feature(enable = "xsave")]
unsafe fn xgetbv() -> u64 {
    // SAFETY: the caller has made sure that the instruction exists; register 0 always does.
    unsafe { core::arch::x86_64::_xgetbv(0) }
}
