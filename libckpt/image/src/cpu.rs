//! What the processor could do where the image was written, and what is missing where it is to run.
//!
//! Libraries choose their code by CPUID at start, so a restored process goes on using whatever the old processor
//! had; it can only run where at least that is there.

use crate::record;

/// Number of words in [`Cpu::features`].
pub const FEATURE_WORDS: usize = 9;

/// Number of XSAVE state components that can be described (Intel SDM vol. 1, 13.1: bits of XCR0).
pub const COMPONENTS: usize = 32;

record! {
    /// CPUID of the machine that wrote the image.
    pub struct Cpu {
        /// Feature words, in the order of [`WORDS`].
        pub features: [u32; FEATURE_WORDS],
        /// XCR0: the state components that the kernel has enabled.
        pub xcr0: u64,
        /// Offset in the XSAVE area and size of each component, both in bytes, zero where it does not exist
        /// (CPUID leaf 0xD, standard format).
        pub components: [[u32; 2]; COMPONENTS],
    }
}

/// A register of a CPUID answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// `eax`
    Eax,
    /// `ebx`
    Ebx,
    /// `ecx`
    Ecx,
    /// `edx`
    Edx,
}

/// Leaf, sub-leaf and register of each feature word.
pub const WORDS: [(u32, u32, Register); FEATURE_WORDS] = [
    (1, 0, Register::Ecx),
    (1, 0, Register::Edx),
    (7, 0, Register::Ebx),
    (7, 0, Register::Ecx),
    (7, 0, Register::Edx),
    (7, 1, Register::Eax),
    (0x8000_0001, 0, Register::Ecx),
    (0x8000_0001, 0, Register::Edx),
    (0xd, 1, Register::Eax),
];

/// Features that a program can use by itself: word, bit, name as in `/proc/cpuinfo`. Bits that only concern the
/// kernel, or that differ from run to run (OSXSAVE, the APIC's), are left out: missing them hurts no program.
const FEATURES: &[(u8, u8, &str)] = &[
    (0, 0, "pni"),
    (0, 1, "pclmulqdq"),
    (0, 9, "ssse3"),
    (0, 12, "fma"),
    (0, 13, "cx16"),
    (0, 19, "sse4_1"),
    (0, 20, "sse4_2"),
    (0, 22, "movbe"),
    (0, 23, "popcnt"),
    (0, 25, "aes"),
    (0, 26, "xsave"),
    (0, 28, "avx"),
    (0, 29, "f16c"),
    (0, 30, "rdrand"),
    (1, 15, "cmov"),
    (1, 23, "mmx"),
    (1, 24, "fxsr"),
    (1, 25, "sse"),
    (1, 26, "sse2"),
    (2, 0, "fsgsbase"),
    (2, 3, "bmi1"),
    (2, 4, "hle"),
    (2, 5, "avx2"),
    (2, 8, "bmi2"),
    (2, 9, "erms"),
    (2, 11, "rtm"),
    (2, 16, "avx512f"),
    (2, 17, "avx512dq"),
    (2, 18, "rdseed"),
    (2, 19, "adx"),
    (2, 21, "avx512ifma"),
    (2, 23, "clflushopt"),
    (2, 24, "clwb"),
    (2, 28, "avx512cd"),
    (2, 29, "sha_ni"),
    (2, 30, "avx512bw"),
    (2, 31, "avx512vl"),
    (3, 1, "avx512vbmi"),
    (3, 5, "waitpkg"),
    (3, 6, "avx512_vbmi2"),
    (3, 8, "gfni"),
    (3, 9, "vaes"),
    (3, 10, "vpclmulqdq"),
    (3, 11, "avx512_vnni"),
    (3, 12, "avx512_bitalg"),
    (3, 14, "avx512_vpopcntdq"),
    (3, 22, "rdpid"),
    (3, 25, "cldemote"),
    (3, 27, "movdiri"),
    (3, 28, "movdir64b"),
    (4, 4, "fsrm"),
    (4, 8, "avx512_vp2intersect"),
    (4, 14, "serialize"),
    (4, 22, "amx_bf16"),
    (4, 23, "avx512_fp16"),
    (4, 24, "amx_tile"),
    (4, 25, "amx_int8"),
    (5, 4, "avx_vnni"),
    (5, 5, "avx512_bf16"),
    (5, 23, "avx_ifma"),
    (6, 0, "lahf_lm"),
    (6, 5, "abm"),
    (6, 6, "sse4a"),
    (6, 8, "3dnowprefetch"),
    (6, 11, "xop"),
    (6, 16, "fma4"),
    (6, 21, "tbm"),
    (7, 27, "rdtscp"),
    (8, 0, "xsaveopt"),
    (8, 1, "xsavec"),
];

/// Names of the state components of XCR0 (Intel SDM vol. 1, 13.1).
const COMPONENT_NAMES: [&str; 20] = [
    "x87",
    "sse",
    "avx",
    "bndregs",
    "bndcsr",
    "opmask",
    "zmm_hi256",
    "hi16_zmm",
    "pt",
    "pkru",
    "pasid",
    "cet_u",
    "cet_s",
    "hdc",
    "uintr",
    "lbr",
    "hwp",
    "tilecfg",
    "tiledata",
    "apx",
];

/// Something that the image needs and this machine does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// An instruction set extension.
    Feature(&'static str),
    /// A component of the extended state that the kernel here does not save.
    State(&'static str),
    /// A component that lies elsewhere in the XSAVE area here, so that signal frames in the image cannot be loaded.
    Layout(&'static str),
}

impl core::fmt::Display for Missing {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Feature(name) => f.write_str(name),
            Self::State(name) => write!(f, "{name} state"),
            Self::Layout(name) => write!(f, "{name} at its old place in the XSAVE area"),
        }
    }
}

/// OSPKE: bit 4 of CPUID leaf 7, ecx, whose word is the fourth of [`WORDS`].
const KEYS_ARE_ENABLED: (usize, u32) = (3, 4);

impl Cpu {
    /// Whether the kernel has enabled protection keys.
    #[must_use]
    pub fn has_protection_keys(&self) -> bool {
        let (word, bit) = KEYS_ARE_ENABLED;
        self.features[word] >> bit & 1 == 1
    }

    /// Whether a process from a machine with `self` would overwrite its stacks with registers that only `here` has. Without XSAVEC, libc
    /// binds functions at their first call with XSAVE, which writes all of these registers, and has room for those that there were at
    /// the start (`_dl_runtime_resolve_xsave` and `STATE_SAVE_MASK` in sysdeps/x86 of glibc).
    #[must_use]
    pub fn has_no_room_for(&self, here: &Self) -> bool {
        /// XSAVE and XSAVEC, each with its word in [`WORDS`].
        const XSAVE: (usize, u32) = (0, 26);
        const XSAVEC: (usize, u32) = (8, 1);
        /// `STATE_SAVE_MASK`.
        const BY_LIBC: u64 = 0xee;
        let has = |(word, bit): (usize, u32)| self.features[word] >> bit & 1 == 1;
        has(XSAVE) && !has(XSAVEC) && here.xcr0 & !self.xcr0 & BY_LIBC != 0
    }

    /// What a process from a machine with `self` would miss on a machine with `here`.
    pub fn missing_on<'a>(&'a self, here: &'a Self) -> impl Iterator<Item = Missing> + 'a {
        let features = FEATURES.iter().filter_map(move |&(word, bit, name)| {
            let has = |cpu: &Self| cpu.features[usize::from(word)] >> bit & 1 == 1;
            (has(self) && !has(here)).then_some(Missing::Feature(name))
        });
        let states = (0..COMPONENTS)
            .filter(move |&bit| self.xcr0 >> bit & 1 == 1)
            .filter_map(move |bit| {
                let name = COMPONENT_NAMES.get(bit).copied().unwrap_or("unknown");
                if here.xcr0 >> bit & 1 == 0 {
                    Some(Missing::State(name))
                } else if self.components[bit] != here.components[bit] {
                    Some(Missing::Layout(name))
                } else {
                    None
                }
            });
        features.chain(states)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const NONE: Cpu = Cpu {
        features: [0; FEATURE_WORDS],
        xcr0: 0,
        components: [[0; 2]; COMPONENTS],
    };

    #[test]
    fn the_same_processor_misses_nothing() {
        let mut cpu = NONE;
        cpu.features = [u32::MAX; FEATURE_WORDS];
        cpu.xcr0 = 0xe7;
        assert_eq!(cpu.missing_on(&cpu).count(), 0);
        assert_eq!(
            NONE.missing_on(&cpu).count(),
            0,
            "a better processor has all"
        );
    }

    #[test]
    fn more_registers_take_room_that_libc_has_where_there_is_xsavec() {
        let mut old = NONE;
        old.features[0] = 1 << 26;
        old.xcr0 = 7;
        let mut here = old;
        assert!(!old.has_no_room_for(&here), "the same registers");
        here.xcr0 = 0xe7;
        assert!(old.has_no_room_for(&here));
        here.xcr0 = 7 | 1 << 9;
        assert!(!old.has_no_room_for(&here), "libc does not save PKRU");
        here.xcr0 = 0xe7;
        old.features[8] = 1 << 1;
        assert!(!old.has_no_room_for(&here));
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut old = NONE;
        old.features[2] = 1 << 5 | 1 << 16;
        old.xcr0 = 7;
        old.components[2] = [576, 256];
        let mut here = NONE;
        here.features[2] = 1 << 5;
        here.xcr0 = 6;
        here.components[2] = [832, 256];
        let missing: Vec<_> = old.missing_on(&here).collect();
        assert_eq!(
            missing,
            [
                Missing::Feature("avx512f"),
                Missing::State("x87"),
                Missing::Layout("avx")
            ]
        );
    }
}
