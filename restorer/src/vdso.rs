//! The vdso: whether this kernel's can take the place of the saved one, and if not, how calls are led from there to here.
//!
//! The C library keeps addresses inside the vdso that the program was started with. On another kernel the saved copy
//! goes back to its place as ordinary memory, and each function in it becomes a jump to this kernel's function of the
//! same name (linux/Documentation/ABI/stable/vdso: symbols and an ELF image are the interface).
//!
//! The data areas become zeros. A call that the checkpoint has interrupted goes on in the old code: it finds that the
//! sequence counter has changed, begins anew, and a clock mode of 0 sends it to the system call (`do_hres`,
//! lib/vdso/gettimeofday.c).

use ckpt_image::wire::Decoder;

/// Name and place of an area of the vdso, as offset from the first one, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area<'a> {
    /// `[vdso]`, `[vvar]`, and whatever the kernel has beside them.
    pub name: &'a [u8],
    /// First byte.
    pub offset: u64,
    /// Length in bytes.
    pub length: u64,
}

/// Whether two kernels have the same areas in the same order.
#[must_use]
pub fn same_areas<'a>(
    saved: impl Iterator<Item = Area<'a>>,
    here: impl Iterator<Item = Area<'a>>,
) -> bool {
    saved.eq(here)
}

const PT_DYNAMIC: u32 = 2;
const DT_HASH: u64 = 4;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;
const STT_FUNC: u8 = 2;
/// `sizeof(Elf64_Sym)`, in bytes.
const SYMBOL_SIZE: usize = 24;
/// Where `e_phoff` and `e_phnum` stand in the file header.
const PHOFF_AT: usize = 32;
const PHNUM_AT: usize = 56;
const PROGRAM_HEADER_SIZE: usize = 56;
/// Where `p_offset` and `p_filesz` stand in a program header.
const OFFSET_AT: usize = 8;
const FILESZ_AT: usize = 32;

/// A function that the vdso exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// Offset of its code from the beginning of the vdso.
    pub offset: u64,
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Decoder::new(bytes.get(at..)?).get().ok()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Decoder::new(bytes.get(at..)?).get().ok()
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Decoder::new(bytes.get(at..)?).get().ok()
}

/// Places of the dynamic symbols and of their names.
struct Tables {
    symbols: usize,
    count: usize,
    names: usize,
}

impl Tables {
    fn find(vdso: &[u8]) -> Option<Self> {
        let headers = u64_at(vdso, PHOFF_AT)? as usize;
        let dynamic = (0..usize::from(u16_at(vdso, PHNUM_AT)?))
            .filter_map(|index| headers.checked_add(index * PROGRAM_HEADER_SIZE))
            .find(|&at| u32_at(vdso, at) == Some(PT_DYNAMIC))?;
        let start = u64_at(vdso, dynamic.checked_add(OFFSET_AT)?)? as usize;
        let length = u64_at(vdso, dynamic.checked_add(FILESZ_AT)?)? as usize;
        let entries = vdso.get(start..start.checked_add(length)?)?;
        let value = |tag| {
            entries
                .chunks_exact(16)
                .find(|entry| u64_at(entry, 0) == Some(tag))
                .and_then(|entry| u64_at(entry, 8))
                .map(|value| value as usize)
        };
        let (symbols, names) = (value(DT_SYMTAB)?, value(DT_STRTAB)?);
        // Every linker puts the names right behind the symbols. A hash table in the old style says how many symbols there are.
        let room = vdso.get(symbols..names)?.len() / SYMBOL_SIZE;
        let count = match value(DT_HASH) {
            Some(hash) => u32_at(vdso, hash.checked_add(4)?)? as usize,
            None => room,
        };
        Some(Self {
            symbols,
            count: count.min(room),
            names,
        })
    }

    fn function<'a>(&self, vdso: &'a [u8], index: usize) -> Option<Function<'a>> {
        let at = self.symbols.checked_add(index * SYMBOL_SIZE)?;
        let symbol = vdso.get(at..at.checked_add(SYMBOL_SIZE)?)?;
        let (name_at, offset) = (u32_at(symbol, 0)? as usize, u64_at(symbol, 8)?);
        let (is_function, is_defined) = (symbol[4] & 15 == STT_FUNC, u16_at(symbol, 6)? != 0);
        let name = vdso.get(self.names.checked_add(name_at)?..)?;
        let name = &name[..name.iter().position(|&byte| byte == 0)?];
        (is_function && is_defined && offset < vdso.len() as u64)
            .then_some(Function { name, offset })
    }
}

/// The functions that `vdso` exports; none if it is no vdso.
pub fn functions(vdso: &[u8]) -> impl Iterator<Item = Function<'_>> + Clone {
    let tables = Tables::find(vdso).unwrap_or(Tables {
        symbols: 0,
        count: 0,
        names: 0,
    });
    let (symbols, count, names) = (tables.symbols, tables.count, tables.names);
    (0..count).filter_map(move |index| {
        Tables {
            symbols,
            count,
            names,
        }
        .function(vdso, index)
    })
}

/// Bytes that a redirected function takes: `movabs rax, address; jmp rax`.
pub const CODE_SIZE: usize = 12;

/// Code that takes the place of a function's first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redirection {
    /// Offset from the beginning of the saved vdso.
    pub offset: u64,
    /// The code.
    pub code: [u8; CODE_SIZE],
}

/// The names of the function that reads a clock; both mean the same one.
const CLOCK_GETTIME: [&[u8]; 2] = [b"__vdso_clock_gettime", b"clock_gettime"];

/// The function that reads a clock.
#[must_use]
pub fn clock_gettime(vdso: &[u8]) -> Option<Function<'_>> {
    functions(vdso).find(|function| CLOCK_GETTIME.contains(&function.name))
}

/// What to overwrite in the copy of `saved` so that its functions lead to those of `here`, which is mapped at `address`;
/// the one that reads a clock leads to `clocks`, if that is given.
pub fn redirections<'a>(
    saved: &'a [u8],
    here: &'a [u8],
    address: u64,
    clocks: Option<u64>,
) -> impl Iterator<Item = Redirection> + Clone + 'a {
    functions(saved)
        .filter(|function| function.offset as usize + CODE_SIZE <= saved.len())
        .map(move |function| {
            let namesake = || functions(here).find(|candidate| candidate.name == function.name);
            let target = clocks
                .filter(|_| CLOCK_GETTIME.contains(&function.name))
                .or_else(|| namesake().map(|target| address + target.offset));
            Redirection {
                offset: function.offset,
                code: target.map_or(FAILURE, jump),
            }
        })
}

/// `mov eax, -ENOSYS; ret`: the C library then makes the system call.
const FAILURE: [u8; CODE_SIZE] = [
    0xb8, 0xda, 0xff, 0xff, 0xff, 0xc3, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc,
];

/// `movabs rax, target; jmp rax`: no function of the vdso takes anything in rax.
fn jump(target: u64) -> [u8; CODE_SIZE] {
    let mut code = [0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xe0];
    code[2..10].copy_from_slice(&target.to_le_bytes());
    code
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek, SeekFrom};

    fn live_vdso() -> Vec<u8> {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let line = maps.lines().find(|line| line.ends_with("[vdso]")).unwrap();
        let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let [start, end] = [start, end].map(|text| u64::from_str_radix(text, 16).unwrap());
        let mut bytes = vec![0; (end - start) as usize];
        let mut memory = std::fs::File::open("/proc/self/mem").unwrap();
        memory.seek(SeekFrom::Start(start)).unwrap();
        memory.read_exact(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn the_functions_of_this_kernel_are_found() {
        let vdso = live_vdso();
        let names: Vec<_> = functions(&vdso).map(|function| function.name).collect();
        for name in ["__vdso_clock_gettime", "__vdso_gettimeofday", "__vdso_time"] {
            assert!(names.contains(&name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn functions_lead_to_their_namesakes_or_to_enosys() {
        let vdso = live_vdso();
        let address = 0x7000_0000_0000;
        for redirection in redirections(&vdso, &vdso, address, None) {
            assert_eq!(redirection.code, jump(address + redirection.offset));
        }
        assert!(redirections(&vdso, &vdso, address, None).count() >= 4);
        assert!(redirections(&vdso, &[], address, None).all(|missing| missing.code == FAILURE));
    }

    #[test]
    fn the_function_that_reads_a_clock_can_lead_elsewhere() {
        let vdso = live_vdso();
        let (address, elsewhere) = (0x7000_0000_0000, 0x6000_0000_0000);
        let at = clock_gettime(&vdso).unwrap().offset;
        for redirection in redirections(&vdso, &vdso, address, Some(elsewhere)) {
            let target = if redirection.offset == at {
                elsewhere
            } else {
                address + redirection.offset
            };
            assert_eq!(redirection.code, jump(target));
        }
    }

    #[test]
    fn damaged_bytes_are_harmless() {
        let vdso = live_vdso();
        for length in 0..vdso.len().min(2000) {
            functions(&vdso[..length]).count();
        }
        for at in 0..1500 {
            let mut damaged = vdso.clone();
            damaged[at] ^= 0xff;
            functions(&damaged).count();
            redirections(&damaged, &vdso, u64::MAX / 2, None).count();
        }
    }

    #[test]
    fn areas_must_be_the_same_in_every_respect() {
        let area = |name, offset, length| Area {
            name,
            offset,
            length,
        };
        let saved = [area(b"[vvar]", 0, 0x4000), area(b"[vdso]", 0x4000, 0x2000)];
        assert!(same_areas(saved.into_iter(), saved.into_iter()));
        for other in [
            area(b"[vdso]", 0x4000, 0x1000),
            area(b"[vdso]", 0x5000, 0x2000),
            area(b"[vvar_vclock]", 0x4000, 0x2000),
        ] {
            assert!(!same_areas(
                saved.into_iter(),
                [saved[0], other].into_iter()
            ));
        }
        assert!(!same_areas(saved.into_iter(), saved[..1].iter().copied()));
    }
}
