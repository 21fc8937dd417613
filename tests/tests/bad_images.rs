//! What is no image, or no longer one, is refused in one line; the restorer does not crash on it and never runs it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::ExitStatusExt;

use ckpt_tests::{Launch, Place, Program, Random, Region, is_root, not_run, tool};

/// Bad image, as the README lists the exit codes.
const BAD_IMAGE: i32 = 121;

/// An image of a tiny program that would end with 42 as soon as it was restored, and the memory that it had.
fn image(place: &Place) -> (Vec<u8>, Vec<Region>) {
    let mut process = Program::compile("plain.c").start(place);
    let regions = process.portrait().regions;
    process.checkpoint();
    process.kill();
    place.release();
    (place.bytes("myckpt"), regions)
}

/// Asserts that the restorer, with an option, refuses a file in the place.
fn assert_refused(place: &Place, option: &[&str], name: &str, what: &str) {
    let _ = fs::remove_file(place.file("restorer.err"));
    let launch = Launch::restorer(option).arg("--").arg(name);
    assert_refusal(launch, place, what);
}

fn assert_refusal(launch: Launch, place: &Place, what: &str) {
    let status = launch.start(place).wait();
    let err = place.text("restorer.err");
    assert_eq!(
        status.code(),
        Some(BAD_IMAGE),
        "{what}: signal {:?}: {err}",
        status.signal()
    );
    assert!(
        err.starts_with("restorer: ") && err.lines().count() == 1,
        "{what}: {err}"
    );
}

/// Writes `content` as an image that is acceptable but for what is in it.
fn write_image(place: &Place, content: &[u8]) {
    place.write("bad", content);
    fs::set_permissions(place.file("bad"), fs::Permissions::from_mode(0o600)).expect("it is ours");
}

fn word(image: &[u8], at: usize, size: usize) -> usize {
    let mut bytes = [0; 8];
    bytes[..size].copy_from_slice(&image[at..at + size]);
    usize::from_le_bytes(bytes)
}

/// A program header of the image.
struct Header {
    kind: usize,
    offset: usize,
    address: u64,
    size: usize,
}

/// The program headers, read by hand: the restorer's own reader is what is under test.
fn headers(image: &[u8]) -> Vec<Header> {
    let (table, count) = (word(image, 32, 8), word(image, 56, 2));
    let header = |number| {
        let at = table + number * 56;
        Header {
            kind: word(image, at, 4),
            offset: word(image, at + 8, 8),
            address: word(image, at + 16, 8) as u64,
            size: word(image, at + 32, 8),
        }
    };
    (0..count).map(header).collect()
}

const PT_LOAD: usize = 1;
const PT_NOTE: usize = 4;

/// Where pages of zeros were left out, an image has nothing, and what lies there is found.
#[test]
fn something_where_nothing_was_written_is_found() {
    let place = Place::new("something_in_a_hole");
    let mut process = Program::compile("sparse_memory.c").start(&place);
    process.checkpoint();
    process.kill();
    let image = place.bytes("myckpt");
    let page = |at: usize| image.get(at..at + 4096);
    let is_empty = |&at: &usize| page(at).is_some_and(|page| page.iter().all(|&byte| byte == 0));
    let hole = headers(&image)
        .iter()
        .filter(|header| header.kind == PT_LOAD)
        .flat_map(|header| (header.offset..header.offset + header.size).step_by(4096))
        .find(is_empty)
        .expect("the program has pages of zeros among others");
    let mut damaged = image.clone();
    damaged[hole + 100] = 7;
    write_image(&place, &damaged);
    assert_refused(&place, &["--verify"], "bad", "a byte in a hole");
    let status = Launch::restorer(["--verify", "myckpt"])
        .start(&place)
        .wait();
    assert_eq!(status.code(), Some(0), "the image as it was");
}

#[test]
fn the_image_itself_is_good() {
    let place = Place::new("good");
    let (content, _) = image(&place);
    write_image(&place, &content);
    assert_eq!(
        Launch::restorer(["bad"]).start(&place).wait().code(),
        Some(42),
        "{}",
        place.text("restorer.err")
    );
}

#[test]
fn cut_off_anywhere() {
    let place = Place::new("cut");
    let (content, _) = image(&place);
    let mut random = Random::new("cut_off_anywhere");
    let lengths = [
        0,
        1,
        4,
        16,
        63,
        64,
        65,
        119,
        120,
        4095,
        4096,
        4097,
        content.len() - 4096,
        content.len() - 1,
    ];
    let few = (0..20).map(|_| random.below(8192));
    let any: Vec<u64> = few.collect();
    let all = (0..70).map(|_| random.below(content.len() as u64));
    let random_lengths: Vec<usize> = any
        .into_iter()
        .chain(all)
        .map(|length| length as usize)
        .collect();
    for length in lengths.into_iter().chain(random_lengths) {
        write_image(&place, &content[..length]);
        assert_refused(
            &place,
            &[],
            "bad",
            &format!("cut to {length} of {}", content.len()),
        );
    }
}

#[test]
fn a_byte_changed_in_headers_and_notes() {
    let place = Place::new("notes");
    let (content, _) = image(&place);
    let table = headers(&content);
    let table_end = 64 + table.len() * 56;
    let mut random = Random::new("a_byte_changed_in_headers_and_notes");
    let mut places: Vec<usize> = (0..64).collect();
    places.extend((0..120).map(|_| 64 + random.below(table_end as u64 - 64) as usize));
    for note in table.iter().filter(|header| header.kind == PT_NOTE) {
        places.extend((0..40).map(|i| note.offset + i));
        places.extend((0..150).map(|_| note.offset + random.below(note.size as u64) as usize));
    }
    for at in places {
        let mut changed = content.clone();
        changed[at] ^= 1 << random.below(8);
        write_image(&place, &changed);
        assert_refused(&place, &[], "bad", &format!("byte {at:#x} changed"));
    }
}

#[test]
fn a_byte_changed_in_the_data() {
    let place = Place::new("data");
    let (content, regions) = image(&place);
    let mut random = Random::new("a_byte_changed_in_the_data");
    let mut flips = 0;
    for header in headers(&content)
        .iter()
        .filter(|header| header.kind == PT_LOAD)
    {
        let data = &content[header.offset..header.offset + header.size];
        let region = regions
            .iter()
            .find(|region| (region.start..region.end).contains(&header.address));
        // A private mapping of an unchanged file is mapped again, so a restart does not look at what the image has of it.
        let is_used = region.is_some_and(|region| region.is_anonymous() && region.name != "[vdso]");
        // An empty page takes no part: its bytes are a hole in the file.
        let full = data
            .chunks(4096)
            .enumerate()
            .filter(|(_, page)| page.iter().any(|&byte| byte != 0));
        for (number, page) in full {
            if random.below(3) > 0 {
                continue;
            }
            let at = header.offset + number * 4096 + random.below(page.len() as u64) as usize;
            let mut changed = content.clone();
            changed[at] ^= 1 << random.below(8);
            write_image(&place, &changed);
            assert_refused(
                &place,
                &["--verify"],
                "bad",
                &format!("byte {at:#x} changed"),
            );
            if is_used {
                assert_refused(&place, &[], "bad", &format!("byte {at:#x} changed"));
            }
            flips += 1;
        }
    }
    assert!(flips > 20, "only {flips} bytes were changed");
}

#[test]
fn a_byte_changed_in_the_content_of_a_deleted_file() {
    let place = Place::new("deleted");
    let mut process = Program::compile("deleted_file.c").start(&place);
    process.checkpoint();
    process.kill();
    place.release();
    let content = place.bytes("myckpt");
    let table = headers(&content);
    // It stands between the memory and the notes.
    let ends = table.iter().filter(|header| header.kind == PT_LOAD);
    let start = ends.map(|header| header.offset + header.size).max();
    let start = start.expect("there is memory");
    let notes = table.iter().find(|header| header.kind == PT_NOTE);
    let end = notes.expect("there are notes").offset;
    let full = (start..end).filter(|&at| content[at] != 0);
    let full: Vec<usize> = full.collect();
    assert!(full.len() > 2000, "only {} bytes", full.len());
    for at in full.into_iter().step_by(400) {
        let mut changed = content.clone();
        changed[at] ^= 0x10;
        write_image(&place, &changed);
        let what = format!("byte {at:#x} changed");
        assert_refused(&place, &["--verify"], "bad", &what);
        assert_refused(&place, &[], "bad", &what);
    }
}

#[test]
fn something_else_entirely() {
    let place = Place::new("else");
    let (content, _) = image(&place);
    let garbage: Vec<u8> = (0..100_000_u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let with = |at: usize, bytes: &[u8]| {
        let mut changed = content.clone();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        changed
    };
    let files = [
        ("an empty file", Vec::new()),
        ("a text", b"#!/bin/sh\nexit 42\n".to_vec()),
        ("garbage", garbage),
        ("zeros", vec![0; 100_000]),
        (
            "an executable",
            fs::read("/bin/true").expect("/bin/true is readable"),
        ),
        ("an image for 32 bits", with(4, &[1])),
        ("a big-endian image", with(5, &[2])),
        ("an executable image", with(16, &[2])),
        ("an image of another machine", with(18, &[183])),
        (
            "an image with a header table out of bounds",
            with(32, &[0xff; 8]),
        ),
        ("an image with 65535 headers", with(56, &[0xff, 0xff])),
    ];
    for (what, content) in files {
        write_image(&place, &content);
        assert_refused(&place, &[], "bad", what);
        assert_refused(&place, &["--plan"], "bad", what);
        assert_refused(&place, &["--verify"], "bad", what);
    }
}

#[test]
fn what_is_not_a_regular_file() {
    let place = Place::new("irregular");
    fs::create_dir(place.file("directory")).expect("a place is writable");
    let fifo =
        std::ffi::CString::new(place.file("fifo").display().to_string()).expect("no NUL in it");
    // SAFETY: `fifo` is a terminated string for the time of the call.
    assert_eq!(unsafe { libc::mkfifo(fifo.as_ptr(), 0o600) }, 0);
    // Opening a fifo without a writer must not hang.
    for name in ["directory", "fifo", "/dev/null", "/dev/zero"] {
        assert_refused(&place, &[], name, name);
    }
}

#[test]
fn an_ordinary_core_file() {
    let Some(gdb) = tool("an_ordinary_core_file", "gdb") else {
        return;
    };
    let place = Place::new("core");
    let program = Program::compile("plain.c");
    let mut process = Launch::plain(program.path()).start(&place);
    process.wait_until_ready();
    let output = std::process::Command::new(gdb)
        .args([
            "-nx",
            "-batch",
            "-ex",
            "generate-core-file core",
            "-p",
            &process.pid().to_string(),
        ])
        .current_dir(place.path())
        .output()
        .expect("gdb starts");
    assert!(
        place.file("core").exists(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_refused(&place, &[], "core", "an ordinary core file");
}

#[test]
fn a_file_without_read_permission() {
    let place = Place::of_nobody("unreadable");
    place.write("bad", "");
    fs::set_permissions(place.file("bad"), fs::Permissions::from_mode(0o000)).expect("it is ours");
    let launch = Launch::restorer(["bad"]).as_nobody();
    assert_refusal(launch, &place, "a file without read permission");
    assert!(
        place.text("restorer.err").contains("EACCES"),
        "{}",
        place.text("restorer.err")
    );
}

#[test]
fn an_image_that_others_can_write() {
    for mode in [0o620, 0o602, 0o666] {
        let place = Place::new("writable");
        image(&place);
        fs::set_permissions(place.file("myckpt"), fs::Permissions::from_mode(mode))
            .expect("it is ours");
        assert_refused(&place, &[], "myckpt", &format!("mode {mode:o}"));
        let status = Launch::restorer(["--any-owner", "myckpt"])
            .start(&place)
            .wait();
        assert_eq!(status.code(), Some(42), "{}", place.text("restorer.err"));
    }
}

#[test]
fn an_image_of_another_user() {
    if !is_root() {
        return not_run("an_image_of_another_user", "only root gives files away");
    }
    let place = Place::new("owner");
    image(&place);
    chown(place.file("myckpt"), Some(65534), None).expect("root gives files away");
    assert_refused(&place, &[], "myckpt", "an image of another user");
    let status = Launch::restorer(["--any-owner", "myckpt"])
        .start(&place)
        .wait();
    assert_eq!(status.code(), Some(42), "{}", place.text("restorer.err"));
}
