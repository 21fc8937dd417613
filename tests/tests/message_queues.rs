//! POSIX message queues that are not there any more, or are others, when a program is restored.

use std::ffi::CString;

use ckpt_tests::{Place, Program, Restart};

/// The program, checkpointed and killed, and the name of its queue, which is removed.
fn without_queue(program: &Program, place: &Place) -> CString {
    let mut process = program.start(place);
    process.checkpoint();
    process.kill();
    let name = CString::new(format!("/ckpt-test-{}", process.pid())).expect("it has no NUL");
    // SAFETY: the name ends with NUL.
    let result = unsafe { libc::mq_unlink(name.as_ptr()) };
    assert_eq!(result, 0, "the queue was there");
    name
}

#[test]
fn a_queue_that_is_gone_is_made_again_without_its_messages() {
    let (place, program) = (
        Place::new("queue_gone"),
        Program::compile("message_queue.c"),
    );
    without_queue(&program, &place);
    let mut process = program.restore(&place, Restart::Eager);
    process.wait_for_a_sign_of_life();
    let said = place.text("restorer.err");
    assert!(said.contains("3 messages; it is empty now"), "{said}");
    place.release();
    assert_eq!(process.wait().code(), Some(1));
    // It misses the messages, and nothing before that.
    let said = place.text("err");
    assert!(said.contains("has(queue, 0, 5, 64, 3)"), "{said}");
}

#[test]
fn a_queue_with_other_attributes_is_named() {
    let (place, program) = (
        Place::new("queue_other"),
        Program::compile("message_queue.c"),
    );
    let name = without_queue(&program, &place);
    // SAFETY: zeros are a valid value of a struct of numbers.
    let mut attributes: libc::mq_attr = unsafe { std::mem::zeroed() };
    (attributes.mq_maxmsg, attributes.mq_msgsize) = (1, 8);
    // SAFETY: the name ends with NUL, and mode and attributes are what the flags ask for.
    unsafe {
        let flags = libc::O_RDWR | libc::O_CREAT;
        let queue = libc::mq_open(name.as_ptr(), flags, 0o600, &raw const attributes);
        assert!(queue >= 0, "it can be made");
        libc::mq_close(queue);
    }
    let status = program.restore(&place, Restart::Eager).wait();
    // SAFETY: the name ends with NUL.
    unsafe { libc::mq_unlink(name.as_ptr()) };
    let said = place.text("restorer.err");
    assert_eq!(status.code(), Some(123), "{said}");
    assert!(
        said.contains("not the same kind of file any more"),
        "{said}"
    );
}
