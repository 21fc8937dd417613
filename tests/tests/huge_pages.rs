//! Memory that is filled completely comes back in huge pages, where the machine has them; and in any case as it was, whatever the
//! kernel lacks of what that takes.

use std::ffi::OsString;
use std::fs;
use std::ptr;

use ckpt_tests::{Launch, Missing, Place, Process, Program, not_run, restorer};

/// userfaultfd(2), which containers may forbid, with `UFFD_USER_MODE_ONLY` and `O_CLOEXEC`.
const USERFAULTFD: Missing = Missing {
    call: libc::SYS_userfaultfd,
    argument: (0, 0x8_0001),
    error: libc::EPERM,
};

/// `UFFDIO_MOVE` (include/uapi/linux/userfaultfd.h), as though the pages could not be moved now.
const MOVE: Missing = Missing {
    call: libc::SYS_ioctl,
    argument: (1, 0xc028_aa05),
    error: libc::EBUSY,
};

/// `PAGEMAP_SCAN` (include/uapi/linux/fs.h), which tells whether the kernel had huge pages to give.
const SCAN: Missing = Missing {
    call: libc::SYS_ioctl,
    argument: (1, 0xc060_6610),
    error: libc::ENOTTY,
};

/// `MADV_COLLAPSE` (include/uapi/asm-generic/mman-common.h).
const COLLAPSE: Missing = Missing {
    call: libc::SYS_madvise,
    argument: (2, 25),
    error: libc::EINVAL,
};

/// Bytes of huge pages that a process has.
fn huge_pages_of(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"));
    let text = text.expect("it lives");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("AnonHugePages:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kibibytes.expect("the kernel counts them") * 1024
}

/// The program's mappings of memory without a file. Those of files may be divided where protections have changed.
fn mappings_of(process: &Process) -> Vec<String> {
    let text = fs::read_to_string(format!("/proc/{}/maps", process.pid())).expect("it lives");
    let all = text.lines().filter(|line| !line.contains('/'));
    all.map(str::to_owned).collect()
}

/// Restores a heap of 64 MiB on a kernel without `missing`, and returns how many bytes of huge pages it has then.
fn restored_without(missing: &[Missing], name: &str) -> u64 {
    let (program, place) = (Program::compile("big_heap.c"), Place::new(name));
    let mut process = program.start(&place);
    let before = mappings_of(&process);
    process.checkpoint();
    process.kill();
    let mut command = Vec::<OsString>::new();
    for missing in missing {
        let (runner, arguments) = missing.runner();
        command.push(runner.path().into());
        command.extend(arguments);
    }
    command.push(restorer().into());
    let mut process = Launch::plain(&command[0])
        .args(&command[1..])
        .arg("myckpt")
        .start(&place);
    process.wait_for_a_sign_of_life();
    assert_eq!(mappings_of(&process), before, "{missing:?}");
    let huge = huge_pages_of(process.pid());
    place.release();
    let status = process.wait();
    assert_eq!(status.code(), Some(42), "{status}\n{}", place.text("err"));
    huge
}

/// Whether the kernel gives this process huge pages for all of `length` bytes that it asks them for.
fn are_to_be_had(length: usize) -> bool {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: the mapping is new, and gone at the end.
    unsafe {
        let memory = libc::mmap(ptr::null_mut(), length, protection, flags, -1, 0);
        assert!(memory != libc::MAP_FAILED, "there is memory");
        libc::madvise(memory, length, libc::MADV_HUGEPAGE);
        memory.write_bytes(1, length);
        let huge = huge_pages_of(std::process::id());
        libc::munmap(memory, length);
        // What lies before the first and behind the last cannot be in one.
        huge + (4 << 20) > length as u64
    }
}

/// Whether memory gets them without having asked.
fn are_everywhere() -> bool {
    let setting = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled");
    setting.is_ok_and(|text| text.contains("[always]"))
}

#[test]
fn a_full_heap_gets_them_in_two_ways_and_does_without() {
    const TEST: &str = "a_full_heap_gets_them_in_two_ways_and_does_without";
    const HEAP: usize = 64 << 20;
    let had_enough = are_to_be_had(2 * HEAP);
    let moved = restored_without(&[], "huge_moved");
    let collapsed = restored_without(&[USERFAULTFD], "huge_collapsed");
    let small = restored_without(&[USERFAULTFD, COLLAPSE], "huge_none");
    let copied = restored_without(&[MOVE], "huge_copied");
    let unknown = restored_without(&[SCAN], "huge_unknown");
    // Where the system's owner wants them everywhere, they come by themselves.
    if !are_everywhere() {
        assert_eq!(small, 0, "forbidden in both ways");
        assert_eq!((copied, unknown), (0, 0), "filled, and then copied");
    }
    if !had_enough || !are_to_be_had(2 * HEAP) {
        return not_run(TEST, "this machine has no huge pages to give");
    }
    assert!(moved > 32 << 20, "{moved} bytes in huge pages");
    // Kernels before 6.1 have no `MADV_COLLAPSE`, and later ones give up where others use much memory.
    println!("{collapsed} bytes without userfaultfd");
}
