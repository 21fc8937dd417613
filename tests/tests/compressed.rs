//! Images whose data is compressed (`CKPT_COMPRESS=lz4`), and the core files that are made of them (`restorer --to-core`).

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

use ckpt_image::checksum::crc32c;
use ckpt_image::container::{CONTAINER_SIZE, ENTRY_SIZE, MAGIC, VERSION};
use ckpt_tests::{
    CHECKPOINT_SIGNAL, Launch, Mount, Place, Process, Program, Random, Restart, not_run, tool,
    until,
};

/// Bad image, as the README lists the exit codes.
const BAD_IMAGE: i32 = 121;

const MODES: [&str; 2] = ["fork", "stop"];

fn compressing(program: &Program) -> Launch {
    program.launch().env("CKPT_COMPRESS", "lz4")
}

/// A place with a compressed image of a program that would end with 42 as soon as it was restored.
fn image(test: &str, program: &str) -> Place {
    let place = Place::new(test);
    let mut process = compressing(&Program::compile(program)).start(&place);
    process.wait_until_ready();
    process.checkpoint();
    process.kill();
    place.release();
    place
}

/// The little-endian number of `size` bytes at `at`.
fn number(bytes: &[u8], at: usize, size: usize) -> usize {
    let mut raw = [0; 8];
    raw[..size].copy_from_slice(&bytes[at..at + size]);
    usize::from_le_bytes(raw)
}

fn is_compressed(image: &[u8]) -> bool {
    image.starts_with(&MAGIC)
}

fn is_core(image: &[u8]) -> bool {
    image.starts_with(b"\x7fELF")
}

/// Runs the restorer; its exit code and what it says on standard error.
fn run(place: &Place, args: &[&str]) -> (Option<i32>, String) {
    let _ = fs::remove_file(place.file("restorer.err"));
    let status = Launch::restorer(args).start(place).wait();
    (status.code(), place.text("restorer.err"))
}

/// Runs it, and expects this exit code and one line with all of `words`.
fn assert_refused(place: &Place, args: &[&str], code: i32, words: &[&str], what: &str) {
    let (status, said) = run(place, args);
    assert_eq!(status, Some(code), "{what}: {said}");
    assert!(
        said.starts_with("restorer: ") && said.lines().count() == 1,
        "{what}: {said}"
    );
    for word in words {
        assert!(said.contains(word), "{what}: `{word}` is not in: {said}");
    }
}

fn assert_survives(mut process: Process, place: &Place) {
    place.release();
    let status = process.wait();
    let said = place.text("err") + &place.text("restorer.err");
    assert_eq!(status.code(), Some(42), "{status}: {said}");
}

/// Programs of all kinds of memory and content that an image has.
const PROGRAMS: [&str; 17] = [
    "plain.c",
    "big_heap.c",
    "sparse_memory.c",
    "many_regions.c",
    "private_file.c",
    "shared_anonymous_split.c",
    "deleted_file.c",
    "deleted_file_mapped.c",
    "memfd_mapped.c",
    "sysv_memory.c",
    "huge_pages_set_aside.c",
    "at_0x5200000.c",
    "guard_pages.c",
    "thread_many.c",
    "thread_mutex.c",
    "process_limit.c",
    "snapshot.c",
];

/// How often each is restored: in debug, where everything takes longer, once.
const GENERATIONS: u32 = if cfg!(debug_assertions) { 1 } else { 2 };

#[test]
fn programs_come_back_from_compressed_images() {
    for file in PROGRAMS {
        let program = Program::compile(file);
        if let Some(hindrance) = program.hindrance() {
            not_run(file, &hindrance);
            continue;
        }
        for mode in MODES {
            let place = if program.directive("needs").any(|need| need == "root") {
                Place::of_nobody("compressed")
            } else {
                Place::new("compressed")
            };
            let launch = compressing(&program).env("CKPT_MODE", mode);
            let mut process = launch.start(&place);
            process.wait_until_ready();
            for _ in 0..GENERATIONS {
                let before = process.portrait();
                process.checkpoint();
                assert!(is_compressed(&place.bytes("myckpt")), "{file}");
                process.kill();
                process = program.restore(&place, Restart::Eager);
                if !program.changes_its_memory() {
                    process.wait_until_it_looks_like(&before);
                }
            }
            assert_survives(process, &place);
        }
    }
}

#[test]
fn a_program_on_one_processor() {
    let Some(taskset) = tool("a_program_on_one_processor", "taskset") else {
        return;
    };
    let place = Place::new("one-processor");
    let program = Program::compile("big_heap.c");
    let launch = Launch::under_libckpt(taskset)
        .args(["--cpu-list", "0"])
        .arg(program.path())
        .env("CKPT_COMPRESS", "lz4");
    let mut process = launch.start(&place);
    process.wait_until_ready();
    process.checkpoint();
    process.kill();
    assert_survives(program.restore(&place, Restart::Eager), &place);
}

/// Those who compress are children of a program that stands still. Whoever kills one costs it time, and nothing else.
#[test]
fn what_compresses_may_be_killed() {
    // SAFETY: the call takes no arguments.
    if unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) } < 2 {
        return not_run("what_compresses_may_be_killed", "one processor");
    }
    let place = Place::new("killed-helper");
    let program = Program::compile("big_heap.c");
    let launch = compressing(&program).env("CKPT_MODE", "stop");
    let mut process = launch.start(&place);
    process.wait_until_ready();
    process.wait_until_armed();
    let inode = || {
        fs::metadata(place.file("myckpt"))
            .ok()
            .map(|image| image.ino())
    };
    let mut killed = 0;
    while killed < 3 {
        let before = inode();
        process.signal(CHECKPOINT_SIGNAL);
        until("the image", || {
            for child in process.children() {
                // SAFETY: the call takes numbers. The program has no children of its own.
                killed += u32::from(unsafe { libc::kill(child as i32, libc::SIGKILL) } == 0);
            }
            (inode() != before).then_some(())
        });
        assert_eq!(run(&place, &["--verify", "myckpt"]).0, Some(0));
    }
    assert_eq!(process.children(), [0; 0], "all are waited for");
    process.kill();
    assert_survives(program.restore(&place, Restart::Eager), &place);
}

#[test]
fn what_can_be_compressed_is_and_nothing_gets_larger() {
    let size = |program: &str, compression: &str| {
        let place = Place::new("size");
        let program = Program::compile(program);
        let mut process = program
            .launch()
            .env("CKPT_COMPRESS", compression)
            .start(&place);
        process.wait_until_ready();
        process.checkpoint();
        let image = fs::metadata(place.file("myckpt")).expect("there is an image");
        image.blocks() * 512
    };
    let (plain, packed) = (size("plain.c", "none"), size("plain.c", "lz4"));
    assert!(packed * 3 < plain * 2, "code and data: {packed} of {plain}");
    let (plain, packed) = (size("big_heap.c", "none"), size("big_heap.c", "lz4"));
    assert!(packed * 100 <= plain * 101, "random: {packed} of {plain}");
}

#[test]
fn the_setting_holds_until_it_is_changed_at_a_restart() {
    let place = Place::new("changed");
    let mut process = compressing(&Program::compile("plain.c")).start(&place);
    process.wait_until_ready();
    for (setting, compressed) in [
        (None, true),
        (Some("CKPT_COMPRESS=none"), false),
        (None, false),
        (Some("CKPT_COMPRESS=lz4"), true),
    ] {
        process.checkpoint();
        process.kill();
        let options = setting.iter().flat_map(|setting| ["--env", setting]);
        process = Launch::restorer(options).arg("myckpt").start(&place);
        process.wait_for_a_sign_of_life();
        process.checkpoint();
        let image = place.bytes("myckpt");
        assert_eq!(is_compressed(&image), compressed, "{setting:?}");
        assert_eq!(is_core(&image), !compressed, "{setting:?}");
    }
    assert_survives(process, &place);
}

#[test]
fn a_lazy_restart_is_refused() {
    let place = image("lazy-compressed", "plain.c");
    let words = ["myckpt", "compressed", "--lazy", "--to-core"];
    assert_refused(&place, &["--lazy", "myckpt"], BAD_IMAGE, &words, "lazy");
    assert_eq!(run(&place, &["myckpt"]).0, Some(42));
}

#[test]
fn a_compressed_image_is_verified_and_planned() {
    let place = image("verified", "deleted_file.c");
    for option in ["--verify", "--plan"] {
        let (code, said) = run(&place, &[option, "myckpt"]);
        assert_eq!((code, said.as_str()), (Some(0), ""), "{option}");
    }
}

#[test]
fn the_compressed_image_of_a_live_process_is_left_alone() {
    let place = Place::new("compressed-owner");
    let program = Program::compile("plain.c");
    let mut first = compressing(&program).start(&place);
    first.wait_until_ready();
    first.checkpoint();
    let image = place.bytes("myckpt");
    let mut second = compressing(&program).start(&place);
    second.wait_until_ready();
    let name = format!("myckpt.{}", second.pid());
    second.try_checkpoint(&name).expect("a checkpoint");
    assert!(
        place.bytes("myckpt") == image,
        "the first image was touched"
    );
    first.kill();
    second.checkpoint();
    assert!(place.bytes("myckpt") != image, "nobody needs it any more");
    assert_survives(second, &place);
}

// Core files.

#[test]
fn a_core_file_is_an_image_that_debuggers_read() {
    let program = Program::compile("backtrace.c");
    let place = image("core", "backtrace.c");
    assert_eq!(
        run(&place, &["--to-core", "myckpt", "core"]),
        (Some(0), String::new())
    );
    let core = fs::metadata(place.file("core")).expect("there is a core file");
    assert_eq!(core.mode() & 0o777, 0o600);
    assert!(is_core(&place.bytes("core")));
    assert_eq!(place.leftovers(), [""; 0]);
    let path = program.path().display().to_string();
    let tools: [(&str, &[&str], &[&str]); 3] = [
        (
            "readelf",
            &["-hlnW", "core"],
            &["Core file", "NT_PRSTATUS", "NT_FILE"],
        ),
        (
            "gdb",
            &["-nx", "-batch", "-ex", "bt", &path, "core"],
            &["innermost", "in middle", "outermost", "in main"],
        ),
        (
            "eu-stack",
            &["--core", "core", "--executable", &path],
            &["innermost", "middle", "outermost", "main"],
        ),
    ];
    for (name, args, words) in tools {
        let Some(tool) = tool("a_core_file_is_an_image_that_debuggers_read", name) else {
            continue;
        };
        let mut command = Command::new(tool);
        let output = command.args(args).current_dir(place.path()).output();
        let output = output.expect("the tool starts");
        let out = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{name}: {out}");
        for word in words {
            assert!(out.contains(word), "{name}: `{word}` is not in: {out}");
        }
    }
}

#[test]
fn a_core_file_is_restored_in_both_ways() {
    for program in ["big_heap.c", "deleted_file_mapped.c", "sparse_memory.c"] {
        for how in [Restart::Eager, Restart::Lazy] {
            let place = image("core-restored", program);
            assert_eq!(run(&place, &["--to-core", "myckpt", "core"]).0, Some(0));
            assert_eq!(run(&place, &["--verify", "core"]).0, Some(0));
            let mut process = Launch::restorer(how.options()).arg("core").start(&place);
            let said = place.text("restorer.err");
            assert_eq!(process.wait().code(), Some(42), "{program}: {said}");
        }
    }
}

/// The same process, with the same memory, is written in both ways: only what libckpt itself does in between may differ.
#[test]
fn a_core_file_has_the_size_and_the_holes_of_a_plain_image() {
    let place = Place::new("core-holes");
    let mut process = compressing(&Program::compile("sparse_memory.c")).start(&place);
    process.wait_until_ready();
    process.checkpoint();
    assert_eq!(run(&place, &["--to-core", "myckpt", "core"]).0, Some(0));
    process.kill();
    let setting = ["--env", "CKPT_COMPRESS=none", "core"];
    let mut process = Launch::restorer(setting).start(&place);
    process.wait_for_a_sign_of_life();
    process.checkpoint();
    let file = |name: &str| fs::metadata(place.file(name)).expect("it is there");
    let (core, plain) = (file("core"), file("myckpt"));
    const SLACK: u64 = 64 << 10;
    assert!(core.len().abs_diff(plain.len()) <= SLACK);
    let [on_disk, plain_on_disk] = [core, plain].map(|file| file.blocks() * 512);
    assert!(
        on_disk <= plain_on_disk + SLACK,
        "{on_disk} {plain_on_disk}"
    );
    assert_survives(process, &place);
}

#[test]
fn a_core_file_of_a_plain_image_is_a_copy() {
    let place = Place::new("core-copy");
    let mut process = Program::compile("deleted_file.c").start(&place);
    process.checkpoint();
    assert_eq!(run(&place, &["--to-core", "myckpt", "core"]).0, Some(0));
    assert!(place.bytes("core") == place.bytes("myckpt"), "it differs");
    assert_survives(process, &place);
}

#[test]
fn a_core_file_replaces_nothing() {
    let place = image("core-exists", "plain.c");
    place.write("file", "precious");
    fs::create_dir(place.file("directory")).expect("a place is writable");
    std::os::unix::fs::symlink("nowhere", place.file("link")).expect("a place is writable");
    for name in ["file", "directory", "link", "myckpt"] {
        let args = ["--to-core", "myckpt", name];
        assert_refused(&place, &args, 120, &[name, "exists", "another name"], name);
    }
    assert_eq!(place.text("file"), "precious");
    assert!(!place.file("nowhere").exists());
    let args = ["--to-core", "myckpt", "no/such/directory"];
    assert_refused(&place, &args, 122, &["ENOENT", "no/such"], "no directory");
    assert_eq!(place.leftovers(), [""; 0]);
}

#[test]
fn a_full_disk_is_named_and_nothing_is_left() {
    let place = image("core-full", "big_heap.c");
    let Some(mount) = Mount::on(&place, "small", "size=1m") else {
        return not_run("a_full_disk", "it takes root and the right to mount");
    };
    let words = ["small/core", "ENOSPC", "free some space"];
    let args = ["--to-core", "myckpt", "small/core"];
    assert_refused(&place, &args, 122, &words, "a full disk");
    assert_eq!(mount.names(), 0, "something is left");
    let (code, _) = run(&place, &["myckpt"]);
    assert_eq!(code, Some(42), "the image is as it was");
}

#[test]
fn a_checkpoint_on_a_full_disk_is_refused() {
    let place = Place::new("compressed-full");
    let Some(mount) = Mount::on(&place, "small", "size=1m") else {
        return not_run("a_full_disk", "it takes root and the right to mount");
    };
    let program = Program::compile("big_heap.c");
    let launch = compressing(&program).env("CKPT_FILE", "small/myckpt");
    let mut process = launch.start(&place);
    process.wait_until_ready();
    let refusal = process.try_checkpoint("small/myckpt");
    assert!(refusal.is_err_and(|line| line.contains("ENOSPC")));
    assert_eq!(mount.names(), 0, "something is left");
    assert_survives(process, &place);
}

#[test]
fn a_limit_of_the_file_size_is_named() {
    let place = image("core-limit", "big_heap.c");
    let mut restorer = Launch::restorer(["--to-core", "myckpt", "core"])
        .limit(libc::RLIMIT_FSIZE, 1 << 20)
        .start(&place);
    assert_eq!(restorer.wait().code(), Some(122));
    let said = place.text("restorer.err");
    assert!(
        said.contains("ulimit -f") && said.lines().count() == 1,
        "{said}"
    );
    let place = Place::new("compressed-limit");
    let mut process = compressing(&Program::compile("big_heap.c"))
        .limit(libc::RLIMIT_FSIZE, 1 << 20)
        .start(&place);
    process.wait_until_ready();
    let refusal = process.try_checkpoint("myckpt");
    assert!(refusal.is_err_and(|line| line.contains("ulimit -f")));
    assert_eq!(place.leftovers(), [""; 0]);
    assert_survives(process, &place);
}

#[test]
fn killed_in_the_middle_of_compressing() {
    let place = Place::new("compressed-middle");
    let program = Program::compile("big_heap.c");
    let mut process = compressing(&program).start(&place);
    process.wait_until_ready();
    process.checkpoint();
    process.signal(CHECKPOINT_SIGNAL);
    process.kill_group();
    // Whether the second one was complete or not: there is one that is whole.
    until("the writer to end", || {
        (run(&place, &["--verify", "myckpt"]).0 == Some(0)).then_some(())
    });
    assert_survives(program.restore(&place, Restart::Eager), &place);
}

// Containers that are not what was written.

/// Places of the fields of a container that are forged.
const HEAD_SIZE_AT: usize = 12;
const DATA_SIZE_AT: usize = 20;
const BLOCKS_AT: usize = 28;
const NOTES_SIZE_AT: usize = 36;
const IMAGE_SIZE_AT: usize = 44;
const INDEX_SUM_AT: usize = 52;
const SUM_AT: usize = 56;

/// Where the blocks of a container begin, and where its index does.
fn parts(container: &[u8]) -> (usize, usize) {
    let data = CONTAINER_SIZE.saturating_add(number(container, HEAD_SIZE_AT, 8));
    let index = data.saturating_add(number(container, DATA_SIZE_AT, 8));
    (data, index)
}

/// Puts the sums right, that of the index if it is there.
fn seal(container: &mut [u8]) {
    let (_, index) = parts(container);
    let size = number(container, BLOCKS_AT, 8).saturating_mul(ENTRY_SIZE);
    if let Some(index) = container.get(index..index.saturating_add(size)) {
        let sum = crc32c(index).to_le_bytes();
        container[INDEX_SUM_AT..SUM_AT].copy_from_slice(&sum);
    }
    let sum = crc32c(&container[..SUM_AT]).to_le_bytes();
    container[SUM_AT..CONTAINER_SIZE].copy_from_slice(&sum);
}

/// The container with a field that has another value, and right sums.
fn with_field(container: &[u8], at: usize, change: impl FnOnce(u64) -> u64) -> Vec<u8> {
    let mut forged = container.to_vec();
    let value = change(number(container, at, 8) as u64);
    forged[at..at + 8].copy_from_slice(&value.to_le_bytes());
    seal(&mut forged);
    forged
}

fn write_bad(place: &Place, content: &[u8]) {
    place.write("bad", content);
    fs::set_permissions(place.file("bad"), fs::Permissions::from_mode(0o600)).expect("it is ours");
}

/// What reads all of an image. A restart does not look at what is in files that it maps.
const READERS: [&[&str]; 2] = [&["--verify", "bad"], &["--to-core", "bad", "core"]];

/// Expects that a file of this content is refused, by a restart and by everything else that reads images.
fn assert_bad(place: &Place, content: &[u8], words: &[&str], what: &str) {
    write_bad(place, content);
    for args in [&["bad"][..]].into_iter().chain(READERS) {
        assert_refused(place, args, BAD_IMAGE, words, &format!("{what}, {args:?}"));
    }
    assert_eq!(place.leftovers(), [""; 0], "{what}");
    assert!(!place.file("core").exists(), "{what}");
}

/// Expects that what is wrong with the data is found when it is read.
fn assert_bad_data(place: &Place, content: &[u8], what: &str) {
    write_bad(place, content);
    for args in READERS {
        assert_refused(
            place,
            args,
            BAD_IMAGE,
            &["damaged"],
            &format!("{what}, {args:?}"),
        );
    }
    assert_eq!(place.leftovers(), [""; 0], "{what}");
    assert!(!place.file("core").exists(), "{what}");
}

#[test]
fn a_container_that_is_cut_off() {
    let place = image("container-cut", "plain.c");
    let content = place.bytes("myckpt");
    let mut random = Random::new("a_container_that_is_cut_off");
    let few = [0, 1, 7, 8, 9, 59, 60, 61, 4096, content.len() - 1];
    let any = (0..60).map(|_| random.below(content.len() as u64) as usize);
    for length in few.into_iter().chain(any) {
        assert_bad(&place, &content[..length], &[], &format!("{length} bytes"));
    }
    let longer = [&content[..], &[0]].concat();
    assert_bad(&place, &longer, &["bytes"], "a byte more");
}

/// Each byte of a container is under one sum or another: of the container, the headers, the notes, the index, or the bytes that
/// become of a block. Now and then a block means the same with another byte, as where there are several places to copy from.
#[test]
fn a_container_with_a_changed_byte() {
    let mut random = Random::new("a_container_with_a_changed_byte");
    for program in ["plain.c", "deleted_file.c"] {
        let place = image("container-changed", program);
        let content = place.bytes("myckpt");
        let (data, index) = parts(&content);
        let mut changed = |at: usize| {
            let mut changed = content.clone();
            changed[at] ^= 1 << random.below(8);
            write_bad(&place, &changed);
            let (code, said) = run(&place, &["--verify", "bad"]);
            let refused = code == Some(BAD_IMAGE) && said.lines().count() == 1;
            assert!(refused || code == Some(0), "byte {at}: {code:?}: {said}");
            refused
        };
        let mut random = Random::new("places");
        let mut any = |from: usize, to: usize| {
            (0..60)
                .map(|_| from + random.below((to - from) as u64) as usize)
                .collect::<Vec<usize>>()
        };
        let places = (0..CONTAINER_SIZE)
            .chain(any(CONTAINER_SIZE, data))
            .chain(any(index, content.len()));
        for at in places {
            assert!(changed(at), "byte {at}");
        }
        let refused = any(data, index).into_iter().filter(|&at| changed(at));
        assert!(refused.count() > 50);
    }
}

#[test]
fn a_container_of_another_version() {
    let place = image("container-version", "plain.c");
    let mut forged = place.bytes("myckpt");
    forged[8..12].copy_from_slice(&(VERSION + 1).to_le_bytes());
    seal(&mut forged);
    let named = format!("format {}", VERSION + 1);
    assert_bad(&place, &forged, &[&named], "another version");
}

#[test]
fn a_container_with_sizes_that_cannot_be() {
    let place = image("container-sizes", "plain.c");
    let content = place.bytes("myckpt");
    let changes: [fn(u64) -> u64; 5] = [
        |_| 0,
        |size| size - 1,
        |size| size + 1,
        |_| 1 << 62,
        |_| u64::MAX,
    ];
    for at in [
        HEAD_SIZE_AT,
        DATA_SIZE_AT,
        BLOCKS_AT,
        NOTES_SIZE_AT,
        IMAGE_SIZE_AT,
    ] {
        for change in changes {
            let forged = with_field(&content, at, change);
            assert_bad(&place, &forged, &["damaged"], &format!("field at {at}"));
        }
    }
    // Two that make up for each other.
    let forged = with_field(&content, HEAD_SIZE_AT, |size| size - 4096);
    let forged = with_field(&forged, DATA_SIZE_AT, |size| size + 4096);
    assert_bad(&place, &forged, &[], "a shorter head");
    let forged = with_field(&content, BLOCKS_AT, |blocks| blocks - 1);
    let forged = with_field(&forged, DATA_SIZE_AT, |size| size + ENTRY_SIZE as u64);
    assert_bad(&place, &forged, &["number of blocks"], "a block less");
    let forged = with_field(&content, NOTES_SIZE_AT, |size| size - ENTRY_SIZE as u64);
    let forged = with_field(&forged, BLOCKS_AT, |blocks| blocks + 1);
    assert_bad(&place, &forged, &[], "a block more");
}

#[test]
fn a_container_with_lengths_that_cannot_be() {
    let place = image("container-lengths", "plain.c");
    let content = place.bytes("myckpt");
    let (_, index) = parts(&content);
    let with_lengths = |change: &dyn Fn(u32, u32) -> (u32, u32)| {
        let mut forged = content.clone();
        let length = |at: usize| u32::try_from(number(&content, at, 4)).unwrap();
        let (first, second) = change(length(index), length(index + 4));
        forged[index..index + 4].copy_from_slice(&first.to_le_bytes());
        forged[index + 4..index + 8].copy_from_slice(&second.to_le_bytes());
        seal(&mut forged);
        forged
    };
    let none = with_lengths(&|first, second| (0, first + second));
    assert_bad(&place, &none, &["length of a block"], "no bytes");
    let huge = with_lengths(&|_, second| (u32::MAX, second));
    assert_bad(&place, &huge, &["length of a block"], "too many bytes");
    let fewer = with_lengths(&|first, second| (first - 1, second));
    assert_bad(&place, &fewer, &["length of the blocks"], "one byte less");
    // The next block then begins in the middle of this one.
    let torn = with_lengths(&|first, second| (first - 1, second + 1));
    assert_bad_data(&place, &torn, "another border");
}

#[test]
fn blocks_that_hold_something_else() {
    let place = image("container-blocks", "plain.c");
    let content = place.bytes("myckpt");
    let (data, index) = parts(&content);
    let blocks = number(&content, BLOCKS_AT, 8);
    let lengths = (0..blocks).map(|number_of| number(&content, index + number_of * ENTRY_SIZE, 4));
    let ends = lengths.scan(data, |end, length| {
        *end += length;
        Some((*end - length, length))
    });
    let mut random = Random::new("blocks_that_hold_something_else");
    // A token that asks for a match at offset 0, far back, and for literals without end.
    let patterns: [&[u8]; 5] = [
        &[0x10, 7, 0, 0],
        &[0x1f, 7, 0xff, 0xff, 0xff],
        &[0xf0, 0xff],
        &[0x1f, 7, 1, 0, 0xff],
        &[0],
    ];
    for (start, length) in ends.filter(|&(_, length)| length % 4096 != 0) {
        let pattern = patterns[random.below(patterns.len() as u64) as usize];
        let mut forged = content.clone();
        let filled = pattern.iter().chain(std::iter::repeat(&0xff));
        for (byte, &with) in forged[start..start + length].iter_mut().zip(filled) {
            *byte = with;
        }
        assert_bad_data(&place, &forged, &format!("block at {start}: {pattern:?}"));
    }
}
