//! The shape of what is built.

use std::collections::BTreeSet;

use ckpt_tests::{libckpt, restorer};
use object::elf::{self, FileHeader64};
use object::read::elf::{Dyn, ElfFile64, FileHeader, ProgramHeader, SectionHeader};
use object::{Endianness, Object, ObjectSection, ObjectSymbol};

/// What `libckpt/ckpt.h` declares.
const API: [&str; 2] = ["ckpt_checkpoint", "ckpt_generation"];

type Elf<'a> = ElfFile64<'a, Endianness>;

fn program_headers<'a>(file: &'a Elf) -> impl Iterator<Item = (u32, u32)> + 'a {
    let endian = file.endian();
    file.elf_program_headers()
        .iter()
        .map(move |header| (header.p_type(endian), header.p_flags(endian)))
}

fn needed(file: &Elf, data: &[u8]) -> Vec<String> {
    let endian = file.endian();
    let header = FileHeader64::<Endianness>::parse(data).expect("an ELF header");
    let sections = header.sections(endian, data).expect("a section table");
    let Some((entries, index)) = sections
        .dynamic(endian, data)
        .expect("a dynamic section, or none")
    else {
        return Vec::new();
    };
    let strings = sections
        .strings(endian, data, index)
        .expect("strings of the dynamic section");
    entries
        .iter()
        .filter(|entry| entry.d_tag(endian) == u64::from(elf::DT_NEEDED))
        .map(|entry| entry.string(endian, strings).expect("a name"))
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect()
}

/// While it writes an image, libckpt tells the program's memory from its own variables by how close it is to one of them
/// (`signal::around_variables`).
#[test]
fn the_variables_of_libckpt_are_close_together() {
    let data = std::fs::read(libckpt()).expect("libckpt is readable");
    let file = Elf::parse(&*data).expect("libckpt is an ELF file");
    let endian = file.endian();
    let writable = file.elf_program_headers().iter().filter(|header| {
        header.p_type(endian) == elf::PT_LOAD && header.p_flags(endian) & elf::PF_W != 0
    });
    let start = writable.clone().map(|header| header.p_vaddr(endian)).min();
    let end = writable
        .map(|header| header.p_vaddr(endian) + header.p_memsz(endian))
        .max();
    let length = end.zip(start).map(|(end, start)| end - start);
    assert!(
        length.is_some_and(|length| length < 256 << 10),
        "{length:?}"
    );
}

#[test]
fn the_restorer_is_static_and_needs_nothing() {
    let data = std::fs::read(restorer()).expect("the restorer is readable");
    let file = Elf::parse(&*data).expect("the restorer is an ELF file");
    assert_eq!(file.elf_header().e_type(file.endian()), elf::ET_EXEC);
    let types: Vec<u32> = program_headers(&file).map(|(kind, _)| kind).collect();
    assert!(!types.contains(&elf::PT_INTERP), "there is an interpreter");
    assert!(
        !types.contains(&elf::PT_DYNAMIC),
        "there is a dynamic section"
    );
    assert_eq!(needed(&file, &data), [""; 0]);
}

#[test]
fn the_restorer_is_where_the_linker_script_puts_it() {
    let data = std::fs::read(restorer()).expect("the restorer is readable");
    let file = Elf::parse(&*data).expect("the restorer is an ELF file");
    for (name, address) in [
        (".text", 0x500_0000),
        (".data", 0x510_0000),
        (".bss", 0x520_0000),
    ] {
        let section = file
            .section_by_name(name)
            .unwrap_or_else(|| panic!("there is no {name}"));
        assert_eq!(section.address(), address, "{name}");
    }
    let loaded = file.sections().filter(|section| {
        let flags = section.elf_section_header().sh_flags(file.endian());
        flags & u64::from(elf::SHF_ALLOC) != 0
    });
    for section in loaded {
        let end = section.address() + section.size();
        // The stack is the last megabyte.
        assert!(
            section.address() >= 0x500_0000 && end <= 0x540_0000,
            "{:?}",
            section.name()
        );
    }
}

#[test]
fn nothing_is_writable_and_executable() {
    for path in [restorer(), libckpt()] {
        let data = std::fs::read(&path).expect("the file is readable");
        let file = Elf::parse(&*data).expect("an ELF file");
        let both = elf::PF_W | elf::PF_X;
        for (kind, flags) in program_headers(&file) {
            let loads = kind == elf::PT_LOAD || kind == elf::PT_GNU_STACK;
            assert!(
                !loads || flags & both != both,
                "{}: a segment is both",
                path.display()
            );
        }
    }
}

#[test]
fn libckpt_needs_nothing_beyond_libc() {
    let data = std::fs::read(libckpt()).expect("libckpt.so is readable");
    let file = Elf::parse(&*data).expect("libckpt.so is an ELF file");
    let needed = needed(&file, &data);
    assert!(needed.contains(&"libc.so.6".to_owned()), "{needed:?}");
    let allowed = ["libc.so.6", "ld-linux-x86-64.so.2"];
    assert!(
        needed.iter().all(|name| allowed.contains(&name.as_str())),
        "{needed:?}"
    );
}

#[test]
fn libckpt_exports_what_is_documented() {
    let data = std::fs::read(libckpt()).expect("libckpt.so is readable");
    let file = Elf::parse(&*data).expect("libckpt.so is an ELF file");
    let exported = file
        .dynamic_symbols()
        .filter(|symbol| symbol.is_definition() && symbol.is_global());
    let names: BTreeSet<&str> = exported
        .map(|symbol| symbol.name().expect("a symbol has a name"))
        .collect();
    let readme = include_str!("../../README.md");
    let interposed = readme
        .split("\n\n")
        .find(|text| text.starts_with("libckpt stands in front of these functions"))
        .expect("the README has a list of functions");
    // What stands between backquotes.
    let interposed: BTreeSet<&str> = interposed.split('`').skip(1).step_by(2).collect();
    let documented: BTreeSet<&str> = interposed.into_iter().chain(API).collect();
    assert_eq!(names, documented);
}
