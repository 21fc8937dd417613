//! Again and again: nothing is left behind by a checkpoint or by a restart.

use ckpt_tests::{Launch, Place, Program};

fn image_size(place: &Place) -> u64 {
    std::fs::metadata(place.file("myckpt"))
        .expect("the image exists")
        .len()
}

/// The stack may be used a little deeper than before.
const SLACK: u64 = 64 * 1024;

#[test]
fn a_hundred_generations() {
    let place = Place::new("generations");
    let mut process = Program::compile("plain.c").start(&place);
    let before = process.portrait();
    let mut largest = None;
    for _ in 0..100 {
        process.checkpoint();
        let size = image_size(&place);
        let largest = *largest.get_or_insert(size + SLACK);
        assert!(size <= largest, "the image grew to {size}");
        process.kill();
        process = Launch::restorer(["myckpt"]).start(&place);
        process.wait_until_it_looks_like(&before);
    }
    place.release();
    assert_eq!(process.wait().code(), Some(42));
}

fn checkpoint_often(times: u32) {
    let place = Place::new("often");
    let program = Program::compile("plain.c");
    let mut process = program.launch().env("CKPT_QUIET", "1").start(&place);
    process.wait_until_ready();
    let before = process.portrait();
    process.checkpoint();
    let first = image_size(&place);
    for _ in 1..times {
        process.checkpoint();
    }
    process.wait_until_it_looks_like(&before);
    let last = image_size(&place);
    assert!(
        last <= first + SLACK,
        "the image grew from {first} to {last}"
    );
    place.release();
    assert_eq!(process.wait().code(), Some(42));
    assert_eq!(place.leftovers(), [""; 0]);
}

#[test]
fn fifty_checkpoints_of_one_process() {
    checkpoint_often(50);
}

#[test]
#[ignore = "takes long; `make soak` runs it"]
fn a_thousand_checkpoints_of_one_process() {
    checkpoint_often(1000);
}
