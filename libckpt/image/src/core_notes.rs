//! The notes that every core file has, so that debuggers open an image (include/linux/elfcore.h, fs/binfmt_elf.c).

use crate::PAGE;
use crate::context::Registers;
use crate::note::{CORE, LINUX, append};
use crate::record;
use crate::wire::{Encoder, NoSpace};

const NT_PRSTATUS: u32 = 1;
const NT_FPREGSET: u32 = 2;
const NT_PRPSINFO: u32 = 3;
const NT_AUXV: u32 = 6;
const NT_X86_XSTATE: u32 = 0x202;
const NT_SIGINFO: u32 = 0x5349_4749;
const NT_FILE: u32 = 0x4649_4c45;

/// Size of the legacy part of an XSAVE area (`struct user_fpregs_struct`), in bytes.
const FXSAVE_SIZE: usize = 512;
/// Where debuggers look for XCR0 in an XSAVE area (`struct xregs_state`, bytes available to software).
const XCR0_AT: usize = 464;

record! {
    /// `struct elf_prstatus` of x86-64, 336 bytes.
    struct ThreadStatus {
        signal_number: i32,
        signal_code: i32,
        signal_errno: i32,
        current_signal: u32,
        pending: u64,
        blocked: u64,
        tid: i32,
        parent: i32,
        group: i32,
        session: i32,
        times: [u64; 8],
        registers: UserRegisters,
        floating_point_valid: u64,
    }
}

record! {
    /// `struct user_regs_struct` (arch/x86/include/asm/user_64.h).
    struct UserRegisters {
        r15: u64, r14: u64, r13: u64, r12: u64, rbp: u64, rbx: u64, r11: u64, r10: u64, r9: u64, r8: u64,
        rax: u64, rcx: u64, rdx: u64, rsi: u64, rdi: u64, orig_rax: u64,
        rip: u64, cs: u64, rflags: u64, rsp: u64, ss: u64,
        fs_base: u64, gs_base: u64, ds: u64, es: u64, fs: u64, gs: u64,
    }
}

record! {
    /// `struct elf_prpsinfo`, 136 bytes.
    struct ProcessInfo {
        state: u8,
        state_letter: u8,
        zombie: u8,
        nice: u8,
        padding: u32,
        flags: u64,
        uid: u32,
        gid: u32,
        pid: i32,
        parent: i32,
        group: i32,
        session: i32,
        name: [u8; 16],
        arguments: [[u8; 16]; 5],
    }
}

/// Ids of a process, as its core notes have them.
#[derive(Clone, Copy, Debug)]
pub struct Ids {
    /// Process id.
    pub pid: i32,
    /// Process id of the parent.
    pub parent: i32,
    /// Process group.
    pub group: i32,
    /// Session.
    pub session: i32,
    /// Real user id.
    pub uid: u32,
    /// Real group id.
    pub gid: u32,
}

/// One thread as debuggers see it: the program's own registers, from its signal frame.
#[derive(Clone, Copy, Debug)]
pub struct Thread<'a> {
    /// Thread id.
    pub tid: i32,
    /// The signal that stopped it.
    pub signal: i32,
    /// Signals it blocks.
    pub blocked: u64,
    /// General registers.
    pub registers: Registers,
    /// Code segment selector and stack segment selector.
    pub selectors: (u16, u16),
    /// Base address of FS.
    pub fs_base: u64,
    /// Base address of GS.
    pub gs_base: u64,
    /// XSAVE area; at least its legacy part of 512 bytes.
    pub xsave: &'a [u8],
    /// State components in [`Self::xsave`], zero if only the legacy part is there.
    pub xfeatures: u64,
}

/// Appends the notes of one thread.
///
/// # Errors
/// [`NoSpace`] if the buffer has no room for them.
pub fn append_thread(to: &mut Encoder<'_>, ids: &Ids, thread: &Thread<'_>) -> Result<(), NoSpace> {
    let r = &thread.registers;
    let status = ThreadStatus {
        signal_number: thread.signal,
        signal_code: 0,
        signal_errno: 0,
        current_signal: thread.signal as u32,
        pending: 0,
        blocked: thread.blocked,
        tid: thread.tid,
        parent: ids.parent,
        group: ids.group,
        session: ids.session,
        times: [0; 8],
        registers: UserRegisters {
            r15: r.r15,
            r14: r.r14,
            r13: r.r13,
            r12: r.r12,
            rbp: r.rbp,
            rbx: r.rbx,
            r11: r.r11,
            r10: r.r10,
            r9: r.r9,
            r8: r.r8,
            rax: r.rax,
            rcx: r.rcx,
            rdx: r.rdx,
            rsi: r.rsi,
            rdi: r.rdi,
            orig_rax: u64::MAX,
            rip: r.rip,
            cs: u64::from(thread.selectors.0),
            rflags: r.rflags,
            rsp: r.rsp,
            ss: u64::from(thread.selectors.1),
            fs_base: thread.fs_base,
            gs_base: thread.gs_base,
            ds: 0,
            es: 0,
            fs: 0,
            gs: 0,
        },
        floating_point_valid: 1,
    };
    append(to, CORE, NT_PRSTATUS, |to| to.put(&status))?;
    let legacy = thread.xsave.get(..FXSAVE_SIZE).ok_or(NoSpace)?;
    append(to, CORE, NT_FPREGSET, |to| to.bytes(legacy))?;
    if thread.xfeatures == 0 {
        return Ok(());
    }
    append(to, LINUX, NT_X86_XSTATE, |to| {
        // The signal frame keeps its own magic numbers where a core file has XCR0.
        to.bytes(&thread.xsave[..XCR0_AT])?;
        to.put(&thread.xfeatures)?;
        to.put(&[0u64; (FXSAVE_SIZE - XCR0_AT) / 8 - 1])?;
        to.bytes(&thread.xsave[FXSAVE_SIZE..])
    })
}

/// Appends the notes of the process: name and arguments, auxiliary vector, and the signal that stopped it.
///
/// # Errors
/// [`NoSpace`] if the buffer has no room for them.
pub fn append_process(
    to: &mut Encoder<'_>,
    ids: &Ids,
    name: [u8; 16],
    arguments: &[u8],
    auxv: &[u8],
    siginfo: &[u8],
) -> Result<(), NoSpace> {
    let mut text = [0u8; 80];
    let shown = arguments.len().min(text.len() - 1);
    for (to, &from) in text.iter_mut().zip(&arguments[..shown]) {
        *to = if from == 0 { b' ' } else { from };
    }
    let mut lines = [[0u8; 16]; 5];
    for (line, part) in lines.iter_mut().zip(text.chunks_exact(16)) {
        line.copy_from_slice(part);
    }
    let info = ProcessInfo {
        state: 0,
        state_letter: b'R',
        zombie: 0,
        nice: 0,
        padding: 0,
        flags: 0,
        uid: ids.uid,
        gid: ids.gid,
        pid: ids.pid,
        parent: ids.parent,
        group: ids.group,
        session: ids.session,
        name,
        arguments: lines,
    };
    append(to, CORE, NT_PRPSINFO, |to| to.put(&info))?;
    append(to, CORE, NT_SIGINFO, |to| to.bytes(siginfo))?;
    append(to, CORE, NT_AUXV, |to| to.bytes(auxv))
}

/// A line of the file note.
#[derive(Clone, Copy, Debug)]
pub struct MappedFile<'a> {
    /// First address.
    pub start: u64,
    /// One past the last address.
    pub end: u64,
    /// Offset in the file, in bytes.
    pub offset: u64,
    /// Path.
    pub path: &'a [u8],
}

/// Appends the note that says which files are mapped where.
///
/// # Errors
/// [`NoSpace`] if the buffer has no room for it.
pub fn append_files<'a, I>(to: &mut Encoder<'_>, files: I) -> Result<(), NoSpace>
where
    I: Iterator<Item = MappedFile<'a>> + Clone,
{
    append(to, CORE, NT_FILE, |to| {
        to.put(&(files.clone().count() as u64))?;
        to.put(&PAGE)?;
        for file in files.clone() {
            to.put(&[file.start, file.end, file.offset / PAGE])?;
        }
        for file in files.clone() {
            to.bytes(file.path)?;
            to.bytes(&[0])?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Decoder;

    #[test]
    fn records_have_the_sizes_of_the_kernel_structs() {
        let zeros = [0u8; 400];
        let size_of = |left: Decoder<'_>| 400 - left.remaining();
        let mut from = Decoder::new(&zeros);
        from.get::<ThreadStatus>().unwrap();
        assert_eq!(size_of(from), 336, "struct elf_prstatus");
        let mut from = Decoder::new(&zeros);
        from.get::<ProcessInfo>().unwrap();
        assert_eq!(size_of(from), 136, "struct elf_prpsinfo");
    }
}
