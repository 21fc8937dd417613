//! Images that are whole, with right checksums, and still must not be run: as if written on another machine, by another
//! version, or by somebody who means harm.

mod forge;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use ckpt_image::header::FORMAT;
use ckpt_image::note::Kind;
use ckpt_tests::{Launch, Place, Program, not_run};

use forge::{forge, number};

/// A place with an image of a program that would exit with 42.
fn image(test: &str, program: &str) -> (Place, Vec<u8>) {
    let place = Place::new(test);
    let mut process = Program::compile(program).start(&place);
    process.checkpoint();
    process.kill();
    place.release();
    let content = place.bytes("myckpt");
    (place, content)
}

/// Restores `forged` and expects the exit code and one line with all of `words`.
fn assert_refused(place: &Place, forged: &[u8], code: i32, words: &[&str]) {
    place.write("forged", forged);
    fs::set_permissions(place.file("forged"), fs::Permissions::from_mode(0o600))
        .expect("it is ours");
    let _ = fs::remove_file(place.file("restorer.err"));
    let mut process = Launch::restorer(["forged"]).start(place);
    let status = process.wait();
    let said = place.text("restorer.err");
    assert_eq!(status.code(), Some(code), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    for word in words {
        assert!(said.contains(word), "`{word}` is not in: {said}");
    }
}

#[test]
fn another_version_of_the_format() {
    let (place, image) = image("forged_version", "plain.c");
    let forged = forge(&image, Kind::Header, |header| {
        header[4..8].copy_from_slice(&(FORMAT + 1).to_le_bytes())
    });
    let named = format!("format {}", FORMAT + 1);
    assert_refused(&place, &forged, 121, &[&named]);
}

#[test]
fn another_version_of_a_note() {
    let (place, image) = image("forged_note", "plain.c");
    let forged = forge(&image, Kind::Signals, |note| note[0] = 9);
    assert_refused(&place, &forged, 121, &["version of a note"]);
}

#[test]
fn a_processor_with_more_features() {
    let (place, image) = image("forged_features", "plain.c");
    let cpu = fs::read_to_string("/proc/cpuinfo").expect("it is readable");
    let missing: Vec<&str> = ["xop", "tbm", "hle"]
        .into_iter()
        .filter(|feature| !cpu.contains(&format!(" {feature} ")))
        .collect();
    // AMD has had the first two for a while, Intel the third. Of others the kernel may say that they are missing where the
    // processor does not.
    assert!(!missing.is_empty(), "no processor has all of these");
    let forged = forge(&image, Kind::Cpu, |cpu| cpu[4..4 + 36].fill(0xff));
    assert_refused(&place, &forged, 122, &missing);
    // Who knows that the program does not need them has it go on.
    let said = comes_back_on_any_processor(&place);
    assert!(said.contains(missing[0]), "{said}");
}

/// Restores the image that was refused before; what the restorer says.
fn comes_back_on_any_processor(place: &Place) -> String {
    let mut process = Launch::restorer(["--any-processor", "forged"]).start(place);
    let status = process.wait();
    let said = place.text("restorer.err");
    assert_eq!(status.code(), Some(42), "{said}");
    said
}

/// libc's lazy binding, on a processor without XSAVEC, takes as much of the stack as there were registers at the start.
#[test]
fn a_processor_with_fewer_registers_and_without_xsavec() {
    const TEST: &str = "a_processor_with_fewer_registers_and_without_xsavec";
    let (place, image) = image("forged_registers", "plain.c");
    let forged = forge(&image, Kind::Cpu, |cpu| {
        let (xsave_features, xcr0) = (4 + 8 * 4, 4 + 36);
        cpu[xsave_features] &= !2;
        cpu[xcr0] &= 3;
    });
    let cpu = fs::read_to_string("/proc/cpuinfo").expect("it is readable");
    if !cpu.contains(" avx ") {
        return not_run(TEST, "this processor has no registers beyond those of SSE");
    }
    assert_refused(&place, &forged, 122, &["XSAVEC", "--any-processor"]);
    comes_back_on_any_processor(&place);
}

#[test]
fn a_processor_that_keeps_its_state_elsewhere() {
    let (place, image) = image("forged_state", "plain.c");
    let forged = forge(&image, Kind::Cpu, |cpu| {
        let (xcr0, components) = (4 + 36, 4 + 36 + 8);
        cpu[xcr0] |= 4;
        cpu[components + 2 * 8] ^= 0x40;
    });
    assert_refused(&place, &forged, 122, &["avx"]);
}

#[test]
fn addresses_that_overlap_or_belong_to_the_kernel() {
    let (place, image) = image("forged_addresses", "plain.c");
    let region =
        |edit: fn(&mut [u8])| forge(&image, Kind::Regions, |regions| edit(&mut regions[4..]));
    let kernel =
        region(|first| first[8..16].copy_from_slice(&0xffff_8000_0000_0000_u64.to_le_bytes()));
    assert_refused(&place, &kernel, 121, &["address of a region"]);
    let overlapping = region(|first| {
        let end = u64::try_from(number(first, 8, 8)).unwrap() + 4096;
        first[8..16].copy_from_slice(&end.to_le_bytes());
    });
    assert_refused(&place, &overlapping, 121, &["damaged"]);
}

#[test]
fn registers_that_lead_nowhere() {
    let (place, image) = image("forged_registers", "plain.c");
    for address in [0u64, 1, 0xdead_0000, 1 << 62, u64::MAX] {
        // rip is the 17th of the registers, behind version, flags and thread id.
        let at = 4 + 4 + 16 * 8;
        let forged = forge(&image, Kind::Context, |context| {
            context[at..at + 8].copy_from_slice(&address.to_le_bytes());
        });
        assert_refused(&place, &forged, 121, &["damaged"]);
    }
}

/// Length of a thread's record, behind version and flags of the note.
const CONTEXT: usize = 172;

/// The image with a second thread, whose id is `difference` larger than that of the first.
fn with_sibling(image: &[u8], difference: i32, edit: impl FnOnce(&mut [u8])) -> Vec<u8> {
    forge(image, Kind::Context, |note| {
        assert_eq!(note.len(), 4 + CONTEXT, "one thread");
        let mut sibling = note[4..].to_vec();
        let tid = i32::try_from(number(&sibling, 0, 4)).unwrap() + difference;
        sibling[..4].copy_from_slice(&tid.to_le_bytes());
        edit(&mut sibling);
        note.extend(sibling);
    })
}

#[test]
fn threads_that_cannot_be() {
    let (place, image) = image("forged_threads", "plain.c");
    let same = with_sibling(&image, 0, |_| {});
    assert_refused(&place, &same, 121, &["damaged", "id of a thread"]);
    let twice = forge(&with_sibling(&image, 1, |_| {}), Kind::Context, |note| {
        let sibling = note[4 + CONTEXT..].to_vec();
        note.extend(sibling);
    });
    assert_refused(&place, &twice, 121, &["damaged", "id of a thread"]);
    let no_main = forge(&with_sibling(&image, 1, |_| {}), Kind::Context, |note| {
        note.drain(4..4 + CONTEXT);
    });
    assert_refused(&place, &no_main, 121, &["damaged", "main thread"]);
    let cut = forge(&image, Kind::Context, |note| note.truncate(4 + CONTEXT - 8));
    assert_refused(&place, &cut, 121, &["damaged"]);
}

#[test]
fn a_sibling_whose_registers_lead_nowhere() {
    let (place, image) = image("forged_sibling", "plain.c");
    let (rsp, rip, flags, fs_base) = (4 + 15 * 8, 4 + 16 * 8, 4 + 17 * 8, 4 + 18 * 8);
    for (at, value) in [
        (rip, 0u64),
        (rip, 0xdead_0000),
        (rip, u64::MAX),
        (rsp, 0),
        (rsp, 0xdead_0000),
        (rsp, 1 << 62),
        (flags, 0x3202),
        (fs_base, 0xffff_8000_0000_0000),
    ] {
        let forged = with_sibling(&image, 1, |sibling| {
            sibling[at..at + 8].copy_from_slice(&value.to_le_bytes());
        });
        assert_refused(&place, &forged, 121, &["damaged"]);
    }
}

#[test]
fn a_pending_signal_of_an_unknown_thread() {
    let (place, image) = image("forged_pending", "plain.c");
    let forged = forge(&image, Kind::Signals, |note| {
        note.extend(i32::MAX.to_le_bytes());
        note.extend([10; 128]);
    });
    assert_refused(&place, &forged, 121, &["thread of a pending signal"]);
}

#[test]
fn a_pending_signal_that_cannot_be() {
    let (place, image) = image("forged_signal", "plain.c");
    let with = |signal: i32| {
        forge(&image, Kind::Signals, |note| {
            let pending = 4 + 2048;
            note[pending] += 1;
            note.extend(0i32.to_le_bytes());
            note.extend(signal.to_le_bytes());
            note.extend([0; 124]);
        })
    };
    for signal in [i32::MIN, 0, libc::SIGKILL, libc::SIGSTOP, 65] {
        assert_refused(&place, &with(signal), 121, &["number of a pending signal"]);
    }
    let missing = forge(&image, Kind::Signals, |note| note[4 + 2048] += 1);
    assert_refused(&place, &missing, 121, &["number of pending signals"]);
}

#[test]
fn a_process_that_cannot_be() {
    let (place, image) = image("forged_process", "plain.c");
    let refused = |at: usize, bytes: &[u8], words: &str| {
        let forged = forge(&image, Kind::Process, |note| {
            note[4 + at..4 + at + bytes.len()].copy_from_slice(bytes);
        });
        assert_refused(&place, &forged, 121, &["damaged", words]);
    };
    let (brk, arguments) = (5 * 8, 7 * 8);
    refused(brk, &[0xff; 8], "parts of the memory");
    refused(arguments, &[0; 8], "parts of the memory");
    // Behind the 11 addresses and the auxiliary vector, whose length is a multiple of 16.
    let mut auxv = 0;
    forge(&image, Kind::Process, |note| auxv = number(note, 4 + 88, 4));
    let parent_death_signal = 88 + 4 + auxv + 16 + 4 + 4 + 8;
    refused(parent_death_signal, &[65], "parent's end");
    let directory = parent_death_signal + 5 * 4 + 4;
    refused(directory, &[0], "path of the process");
}

#[test]
fn a_vdso_where_there_is_none() {
    let (place, image) = image("forged_vdso", "plain.c");
    // The first region gets the vdso's name and backing.
    let forged = forge(&image, Kind::Regions, |note| {
        const FIXED: usize = 76;
        let name = note.windows(6).position(|window| window == b"[vdso]");
        let vdso = name.expect("every program has one") - FIXED - 4;
        let first = 4;
        let length = number(note, first + FIXED, 4);
        let name = note[vdso + FIXED..vdso + FIXED + 10].to_vec();
        note.splice(first + FIXED..first + FIXED + 4 + length, name);
        note[first + 20] = 5;
    });
    assert_refused(&place, &forged, 121, &["a second vdso"]);
}

#[test]
fn a_lock_in_memory_that_cannot_be_written() {
    let (place, image) = image("forged_owner", "plain.c");
    let mut code = None;
    forge(&image, Kind::Context, |note| {
        code = Some(number(note, 4 + 4 + 16 * 8, 8) & !4095);
    });
    let address = code.expect("there is an instruction pointer") as u64;
    let forged = forge(&image, Kind::Owners, |note| {
        note.splice(4.., address.to_le_bytes());
    });
    assert_refused(&place, &forged, 121, &["address of a mutex"]);
}

#[test]
fn more_descriptors_than_are_allowed_here() {
    let (place, _) = image("few_descriptors", "file_high_number.c");
    let mut process = Launch::restorer(["myckpt"])
        .limit(libc::RLIMIT_NOFILE, 64)
        .start(&place);
    assert_eq!(process.wait().code(), Some(123));
    let said = place.text("restorer.err");
    assert!(said.contains("ulimit -Hn"), "{said}");
}
