//! What this processor can do.

use core::arch::x86_64::{__cpuid, __cpuid_count};
use core::sync::atomic::{AtomicU8, Ordering};

use ckpt_image::cpu::{COMPONENTS, Cpu, FEATURE_WORDS, Register, WORDS};

/// CPUID leaf 1, ecx: SSE 4.2.
const SSE42: u32 = 1 << 20;
/// CPUID leaf 1, ecx: XSAVE is enabled by the operating system.
const OSXSAVE: u32 = 1 << 27;
/// CPUID leaf 7, ebx: AVX2.
const AVX2: u32 = 1 << 5;
/// CPUID leaf 7, ebx: AVX-512 F.
const AVX512F: u32 = 1 << 16;
/// CPUID leaf 7, ecx: VPCLMULQDQ.
const VPCLMULQDQ: u32 = 1 << 10;
/// XCR0: the operating system keeps SSE and AVX registers.
const SSE_AND_AVX: u64 = 6;
/// XCR0: and those of AVX-512.
const AVX512: u64 = 0xe0;

/// What is used of the processor where large amounts of memory are looked through; each includes those before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Vectors {
    /// Nothing special.
    None,
    /// The `crc32` instruction (SSE 4.2).
    Crc32,
    /// Registers of 32 bytes (AVX2).
    Avx2,
    /// Carry-less multiplication in them (VPCLMULQDQ).
    Multiplication,
    /// The same in registers of 64 bytes (AVX-512).
    WideMultiplication,
}

impl Vectors {
    const ALL: [Self; 5] = [
        Self::None,
        Self::Crc32,
        Self::Avx2,
        Self::Multiplication,
        Self::WideMultiplication,
    ];

    /// What this processor has. Asked once: in a virtual machine CPUID costs a microsecond or more. A process that is
    /// restored elsewhere has it there, too, or is not restored.
    #[must_use]
    pub fn available() -> Self {
        static KNOWN: AtomicU8 = AtomicU8::new(0);
        let known = usize::from(KNOWN.load(Ordering::Relaxed));
        if let Some(&vectors) = known.checked_sub(1).and_then(|index| Self::ALL.get(index)) {
            return vectors;
        }
        let vectors = Self::ask();
        KNOWN.store(1 + vectors as u8, Ordering::Relaxed);
        vectors
    }

    fn ask() -> Self {
        let features = __cpuid(1).ecx;
        if features & SSE42 == 0 {
            return Self::None;
        }
        let kept = if features & OSXSAVE != 0 {
            // SAFETY: XGETBV exists where OSXSAVE is set.
            unsafe { xgetbv() }
        } else {
            0
        };
        if kept & SSE_AND_AVX != SSE_AND_AVX || __cpuid(0).eax < 7 {
            return Self::Crc32;
        }
        let more = __cpuid_count(7, 0);
        match (more.ebx & AVX2 != 0, more.ecx & VPCLMULQDQ != 0) {
            (false, _) => Self::Crc32,
            (true, false) => Self::Avx2,
            (true, true) if more.ebx & AVX512F == 0 || kept & AVX512 != AVX512 => {
                Self::Multiplication
            }
            (true, true) => Self::WideMultiplication,
        }
    }
}

/// Features and state layout of this processor. As few questions as possible: see [`Vectors::available`].
#[must_use]
pub fn this_cpu() -> Cpu {
    let mut cpu = Cpu {
        features: [0; FEATURE_WORDS],
        xcr0: 0,
        components: [[0; 2]; COMPONENTS],
    };
    let [highest, highest_extended] = [__cpuid(0).eax, __cpuid(0x8000_0000).eax];
    // What one question answers stands together.
    let mut last = None;
    for (value, &(leaf, sub_leaf, register)) in cpu.features.iter_mut().zip(&WORDS) {
        if leaf > highest && leaf < 0x8000_0000 || leaf > highest_extended {
            continue;
        }
        let question = (leaf, sub_leaf);
        let answer = match last {
            Some((asked, answer)) if asked == question => answer,
            _ => __cpuid_count(leaf, sub_leaf),
        };
        last = Some((question, answer));
        *value = match register {
            Register::Eax => answer.eax,
            Register::Ebx => answer.ebx,
            Register::Ecx => answer.ecx,
            Register::Edx => answer.edx,
        };
    }
    // The first word.
    if cpu.features[0] & OSXSAVE == 0 {
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
