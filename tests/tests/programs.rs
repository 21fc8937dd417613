//! Each program of `programs/`, checkpointed and gone on with, and killed and restored up to four times: its memory is read, mapped
//! from the image, mapped from the image of a process whose memory was, and read from such a one.

use std::os::unix::fs::MetadataExt;

use ckpt_tests::{Place, Process, Program, Restart, not_run};

const GENERATIONS: [Restart; 4] = [Restart::Eager, Restart::Lazy, Restart::Lazy, Restart::Eager];

/// How many of them, from the end: in debug, where everything takes longer, one of each kind.
const MADE: usize = if cfg!(debug_assertions) { 2 } else { 4 };

include!(concat!(env!("OUT_DIR"), "/programs.rs"));

/// The test of one program. `build.rs` makes a caller for each.
fn survive(file: &str) {
    let program = Program::compile(file);
    if let Some(hindrance) = program.hindrance() {
        not_run(file, &hindrance);
    } else if let Some(text) = program.directive("refused").next() {
        is_refused(&program, text);
    } else {
        goes_on(&program);
        comes_back(&program);
    }
}

fn place_of(program: &Program) -> Place {
    let name = program
        .path()
        .file_name()
        .expect("a program has a name")
        .to_string_lossy();
    if program.directive("needs").any(|need| need == "root") {
        Place::of_nobody(&name)
    } else {
        Place::new(&name)
    }
}

fn goes_on(program: &Program) {
    let place = place_of(program);
    let mut process = program.start(&place);
    process.checkpoint();
    survives(process, &place);
}

fn comes_back(program: &Program) {
    let place = place_of(program);
    let mut process = program.start(&place);
    let mut was_lazy = false;
    for how in GENERATIONS.into_iter().skip(GENERATIONS.len() - MADE) {
        let before = process.portrait();
        process.checkpoint();
        let on_disk = place
            .file("myckpt")
            .metadata()
            .expect("the image exists")
            .blocks()
            * 512;
        if let Some(largest) = program.largest_image() {
            assert!(
                on_disk <= largest,
                "the image takes {on_disk} bytes of the disk"
            );
        }
        if program.keeps_ids() {
            process.kill_and_free_id();
        } else {
            process.kill();
        }
        process = program.restore(&place, how);
        was_lazy |= how == Restart::Lazy;
        match (program.changes_its_memory(), was_lazy) {
            (true, _) => {}
            (false, true) => process.wait_until_it_looks_like_but_for_labels(before),
            (false, false) => process.wait_until_it_looks_like(&before),
        }
        // Programs that wait in assembly make no system call that could show that they run.
        if !place.file("release.word").exists() {
            process.wait_for_a_sign_of_life();
        }
    }
    survives(process, &place);
}

fn is_refused(program: &Program, text: &str) {
    let place = place_of(program);
    let mut process = program.start(&place);
    let line = process
        .try_checkpoint("myckpt")
        .expect_err("the checkpoint must be refused");
    assert!(line.contains(text), "{text:?} is not in: {line}");
    assert!(!place.file("myckpt").exists(), "there is an image");
    assert_eq!(place.leftovers(), [""; 0]);
    survives(process, &place);
}

fn survives(mut process: Process, place: &Place) {
    place.release();
    let status = process.wait();
    assert_eq!(
        status.code(),
        Some(42),
        "{status}; its standard error:\n{}",
        place.text("err")
    );
}
