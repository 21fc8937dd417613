//! ELF64 as far as an image uses it (System V ABI, AMD64 supplement; elf(5)).

use crate::record;
use crate::wire::Decoder;

/// `ET_CORE`.
pub const ET_CORE: u16 = 4;
/// `EM_X86_64`.
pub const EM_X86_64: u16 = 62;
/// `PT_LOAD`.
pub const PT_LOAD: u32 = 1;
/// `PT_NOTE`.
pub const PT_NOTE: u32 = 4;
/// `PF_X`, `PF_W`, `PF_R`: the bits of [`ProgramHeader::flags`].
pub const PF_X: u32 = 1;
/// See [`PF_X`].
pub const PF_W: u32 = 2;
/// See [`PF_X`].
pub const PF_R: u32 = 4;
/// `PN_XNUM`: the number of program headers does not fit and stands in `sh_info` of the first section header.
pub const PN_XNUM: u16 = 0xffff;

/// Magic number, 64 bits, little-endian, version 1, System V ABI.
pub const IDENT: [u8; 16] = [0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// `sizeof(Elf64_Ehdr)`, in bytes.
pub const FILE_HEADER_SIZE: usize = 64;
/// `sizeof(Elf64_Phdr)`, in bytes.
pub const PROGRAM_HEADER_SIZE: usize = 56;
/// `sizeof(Elf64_Shdr)`, in bytes.
pub const SECTION_HEADER_SIZE: usize = 64;

/// An image never has more segments than this: the kernel's own limit of mappings, `vm.max_map_count`, cannot
/// be set higher than 2^31, but a million already takes gdb out of memory.
pub const MAX_SEGMENTS: usize = 1 << 20;

record! {
    /// `Elf64_Ehdr`.
    pub struct FileHeader {
        /// `e_ident`.
        pub ident: [u8; 16],
        /// `e_type`.
        pub kind: u16,
        /// `e_machine`.
        pub machine: u16,
        /// `e_version`.
        pub version: u32,
        /// `e_entry`.
        pub entry: u64,
        /// `e_phoff`.
        pub program_headers: u64,
        /// `e_shoff`.
        pub section_headers: u64,
        /// `e_flags`.
        pub flags: u32,
        /// `e_ehsize`.
        pub header_size: u16,
        /// `e_phentsize`.
        pub program_header_size: u16,
        /// `e_phnum`.
        pub program_header_count: u16,
        /// `e_shentsize`.
        pub section_header_size: u16,
        /// `e_shnum`.
        pub section_header_count: u16,
        /// `e_shstrndx`.
        pub section_names: u16,
    }
}

record! {
    /// `Elf64_Phdr`.
    pub struct ProgramHeader {
        /// `p_type`.
        pub kind: u32,
        /// `p_flags`.
        pub flags: u32,
        /// `p_offset`.
        pub offset: u64,
        /// `p_vaddr`.
        pub address: u64,
        /// `p_paddr`.
        pub physical: u64,
        /// `p_filesz`, in bytes.
        pub file_size: u64,
        /// `p_memsz`, in bytes.
        pub memory_size: u64,
        /// `p_align`.
        pub alignment: u64,
    }
}

record! {
    /// `Elf64_Shdr`; an image has one, and only when it needs [`PN_XNUM`].
    pub struct SectionHeader {
        /// `sh_name`.
        pub name: u32,
        /// `sh_type`.
        pub kind: u32,
        /// `sh_flags`.
        pub flags: u64,
        /// `sh_addr`.
        pub address: u64,
        /// `sh_offset`.
        pub offset: u64,
        /// `sh_size`.
        pub size: u64,
        /// `sh_link`.
        pub link: u32,
        /// `sh_info`.
        pub info: u32,
        /// `sh_addralign`.
        pub alignment: u64,
        /// `sh_entsize`.
        pub entry_size: u64,
    }
}

impl ProgramHeader {
    /// One past the segment's last address; the caller has checked that it does not wrap.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.address + self.memory_size
    }
}

impl SectionHeader {
    /// The section header that carries the number of program headers for [`PN_XNUM`].
    #[must_use]
    pub fn carrying_segment_count(segments: u32) -> Self {
        Self {
            name: 0,
            kind: 0,
            flags: 0,
            address: 0,
            offset: 0,
            size: 1,
            link: 0,
            info: segments,
            alignment: 0,
            entry_size: 0,
        }
    }
}

impl FileHeader {
    /// The file header of an image with `segments` program headers directly behind it.
    #[must_use]
    pub fn for_image(segments: usize) -> Self {
        let extended = segments >= PN_XNUM as usize;
        Self {
            ident: IDENT,
            kind: ET_CORE,
            machine: EM_X86_64,
            version: 1,
            entry: 0,
            program_headers: FILE_HEADER_SIZE as u64,
            section_headers: if extended {
                (FILE_HEADER_SIZE + segments * PROGRAM_HEADER_SIZE) as u64
            } else {
                0
            },
            flags: 0,
            header_size: FILE_HEADER_SIZE as u16,
            program_header_size: PROGRAM_HEADER_SIZE as u16,
            program_header_count: if extended { PN_XNUM } else { segments as u16 },
            section_header_size: SECTION_HEADER_SIZE as u16,
            section_header_count: u16::from(extended),
            section_names: 0,
        }
    }
}

/// Bytes that file header, program headers and, if needed, the one section header take; data begins at the next page.
#[must_use]
pub fn head_size(segments: usize) -> usize {
    let section = if segments >= PN_XNUM as usize {
        SECTION_HEADER_SIZE
    } else {
        0
    };
    FILE_HEADER_SIZE + segments * PROGRAM_HEADER_SIZE + section
}

/// Why a file that begins with these bytes is not an image of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAnImage {
    /// Not an ELF file at all.
    NotElf,
    /// An ELF file, but a program, library or object file.
    NotCore,
    /// A core file of another machine.
    OtherMachine,
    /// The header has a value that no image has.
    Damaged,
}

/// Checks the file header at the beginning of `bytes` and returns the offset in the file at which the number of segments
/// must be looked up, or that number itself.
///
/// # Errors
/// [`NotAnImage`] says why the bytes do not begin an image.
pub fn check_file_header(bytes: &[u8]) -> Result<SegmentCount, NotAnImage> {
    if bytes.len() < FILE_HEADER_SIZE || bytes[..4] != IDENT[..4] {
        return Err(NotAnImage::NotElf);
    }
    let header: FileHeader = Decoder::new(bytes).get().map_err(|_| NotAnImage::NotElf)?;
    if header.ident[4..6] != IDENT[4..6] || header.machine != EM_X86_64 {
        return Err(NotAnImage::OtherMachine);
    }
    if header.kind != ET_CORE {
        return Err(NotAnImage::NotCore);
    }
    if header.program_headers != FILE_HEADER_SIZE as u64
        || usize::from(header.program_header_size) != PROGRAM_HEADER_SIZE
    {
        return Err(NotAnImage::Damaged);
    }
    if header.program_header_count == PN_XNUM {
        Ok(SegmentCount::InSectionHeader(header.section_headers))
    } else {
        Ok(SegmentCount::Known(usize::from(
            header.program_header_count,
        )))
    }
}

/// Where the number of segments stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentCount {
    /// It is this.
    Known(usize),
    /// In `sh_info` of the section header at this offset.
    InSectionHeader(u64),
}
