//! The program's own use of the signal that is ours.

use ckpt_tests::{Place, Program, Restart};

#[test]
fn libc_returns_and_shows_what_it_does_without_libckpt() {
    let program = Program::compile("usr2_results.c");
    let alone = Place::new("usr2_alone");
    alone.release();
    let status = program.launch().without_libckpt().start(&alone).wait();
    assert_eq!(status.code(), Some(42), "{}", alone.text("err"));

    let place = Place::new("usr2_restored");
    let mut process = program.start(&place);
    process.checkpoint();
    process.kill();
    place.release();
    let status = program.restore(&place, Restart::Eager).wait();
    assert_eq!(status.code(), Some(42), "{}", place.text("err"));

    let (alone, restored) = (alone.text("out"), place.text("out"));
    for (line, expected) in restored.lines().zip(alone.lines()) {
        assert_eq!(line, expected);
    }
    assert_eq!(restored.lines().count(), alone.lines().count());
}

/// Restored again before it has come any further, again and again.
#[test]
fn signals_that_wait_over_several_restarts_come_to_their_handlers() {
    let program = Program::compile("usr2_answered.c");
    for _ in 0..10 {
        let place = Place::new("usr2_answered");
        let mut process = program.start(&place);
        for generation in 0..6 {
            process.checkpoint();
            process.kill();
            let how = if generation % 2 == 0 {
                Restart::Eager
            } else {
                Restart::Lazy
            };
            process = program.restore(&place, how);
        }
        place.release();
        assert_eq!(process.wait().code(), Some(42), "{}", place.text("err"));
    }
}
