//! Restarts that map memory from the image (`restorer --lazy`).

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;

use ckpt_tests::{Launch, Mount, Place, Process, Program, not_run};

/// A program with a heap of 64 MiB, which it looks at when it is released.
const PROGRAM: &str = "big_heap.c";

/// A place with an image of the program, which is dead.
fn image(test: &str) -> Place {
    let place = Place::new(test);
    let mut process = Program::compile(PROGRAM).start(&place);
    process.checkpoint();
    process.kill();
    place
}

fn restore_lazily(place: &Place) -> Process {
    let mut process = Launch::restorer(["--lazy", "myckpt"]).start(place);
    process.wait_until_armed();
    process.wait_for_a_sign_of_life();
    process
}

fn assert_survives(mut process: Process, place: &Place) {
    place.release();
    assert_eq!(process.wait().code(), Some(42), "{}", place.text("err"));
}

/// Asserts that a lazy restart is refused with this exit code and a word in its line.
fn assert_refused(place: &Place, image: &str, code: i32, word: &str) {
    let status = Launch::restorer(["--lazy", image]).start(place).wait();
    let line = place.text("restorer.err");
    assert_eq!(status.code(), Some(code), "{line}");
    assert!(line.contains(word), "{word} is not in: {line}");
    assert_eq!(line.lines().count(), 1, "{line}");
}

fn maps(process: &Process) -> String {
    fs::read_to_string(format!("/proc/{}/maps", process.pid())).expect("the process lives")
}

/// Changes a byte in the middle of the image, which is in the middle of the heap.
fn damage(place: &Place) {
    let image = OpenOptions::new()
        .read(true)
        .write(true)
        .open(place.file("myckpt"))
        .expect("it is ours");
    let middle = image.metadata().expect("it is a file").len() / 2;
    let mut byte = [0];
    image.read_exact_at(&mut byte, middle).expect("it is long");
    image.write_all_at(&[!byte[0]], middle).expect("it is ours");
}

#[test]
fn memory_is_read_when_it_is_needed() {
    let place = image("lazy");
    damage(&place);
    let status = Launch::restorer(["myckpt"]).start(&place).wait();
    assert_eq!(status.code(), Some(121), "it reads everything");
    let mut process = restore_lazily(&place);
    let path = place.file("myckpt");
    let name = path.to_str().expect("a plain name");
    assert!(maps(&process).contains(name), "{}", maps(&process));
    let plan = Launch::restorer(["--plan", "--lazy", "myckpt"])
        .start(&place)
        .wait();
    assert_eq!(plan.code(), Some(0));
    assert!(place.text("restorer.out").contains("of the image"));
    place.release();
    assert_ne!(process.wait().code(), Some(42), "it has what the file has");
}

#[test]
fn nothing_of_the_image_stays_open() {
    let place = image("lazy-descriptors");
    let mut eager = Launch::restorer(["myckpt"]).start(&place);
    eager.wait_for_a_sign_of_life();
    let descriptors = eager.portrait().descriptors;
    eager.kill();
    let process = restore_lazily(&place);
    assert_eq!(process.portrait().descriptors, descriptors);
    assert_survives(process, &place);
}

#[test]
fn an_eager_restart_brings_the_old_mappings_back() {
    let place = Place::new("lazy-maps");
    let mut process = Program::compile(PROGRAM).start(&place);
    let before = process.portrait();
    for options in [&["--lazy"][..], &["--lazy"], &[]] {
        process.checkpoint();
        process.kill();
        process = Launch::restorer(options).arg("myckpt").start(&place);
    }
    process.wait_until_it_looks_like(&before);
    assert_survives(process, &place);
}

#[test]
fn the_image_does_not_grow() {
    let place = Place::new("lazy-size");
    let mut process = Program::compile("plain.c").start(&place);
    let mut sizes = Vec::new();
    for _ in 0..20 {
        process.checkpoint();
        process.kill();
        let image = fs::metadata(place.file("myckpt")).expect("there is one");
        sizes.push(image.len());
        process = restore_lazily(&place);
    }
    let (first, last) = (sizes[1], sizes[19]);
    assert!(last <= first + 64 * 1024, "{sizes:?}");
    assert_survives(process, &place);
}

#[test]
fn a_replaced_or_removed_image_is_harmless() {
    let place = image("lazy-replaced");
    let mut first = restore_lazily(&place);
    first.checkpoint();
    let second = restore_lazily(&place);
    fs::remove_file(place.file("myckpt")).expect("it is ours");
    place.release();
    for mut process in [first, second] {
        assert_eq!(process.wait().code(), Some(42), "{}", place.text("err"));
    }
}

#[test]
fn who_opens_the_image_for_writing_ends_the_program_first() {
    let place = image("lazy-written");
    let mut process = restore_lazily(&place);
    File::open(place.file("myckpt")).expect("reading is harmless");
    process.wait_for_a_sign_of_life();
    drop(File::create(place.file("myckpt")).expect("it is ours"));
    assert_eq!(process.wait().signal(), Some(libc::SIGKILL));
}

#[test]
fn an_image_that_somebody_is_writing_is_refused() {
    let place = image("lazy-open");
    let writer = OpenOptions::new()
        .append(true)
        .open(place.file("myckpt"))
        .expect("it is ours");
    assert_refused(&place, "myckpt", 121, "open for writing");
    drop(writer);
    assert_survives(restore_lazily(&place), &place);
}

#[test]
fn an_image_on_a_file_system_without_execution_is_refused() {
    let place = image("lazy-noexec");
    let Some(_mount) = Mount::on(&place, "noexec", "noexec") else {
        return not_run("lazy_noexec", "it takes root and the right to mount");
    };
    fs::copy(place.file("myckpt"), place.file("noexec/myckpt")).expect("there is room");
    assert_refused(&place, "noexec/myckpt", 121, "noexec");
    let mut eager = Launch::restorer(["noexec/myckpt"]).start(&place);
    eager.wait_for_a_sign_of_life();
    assert_survives(eager, &place);
}
