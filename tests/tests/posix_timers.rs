//! POSIX timers on kernels that do not let a process choose their ids.

use ckpt_tests::{Launch, Place, Program, restorer};

#[test]
fn ids_come_back_on_an_older_kernel() {
    let (older_kernel, program) = (
        Program::workload("without_timer_ids.c"),
        Program::compile("posix_timer.c"),
    );
    let place = Place::new("posix_timers");
    let mut process = Launch::under_libckpt(older_kernel.path())
        .arg(program.path())
        .start(&place);
    process.wait_until_ready();
    for _ in 0..3 {
        process.checkpoint();
        process.kill();
        process = Launch::plain(older_kernel.path())
            .arg(restorer())
            .arg("myckpt")
            .start(&place);
        process.wait_for_a_sign_of_life();
    }
    place.release();
    let status = process.wait();
    assert_eq!(status.code(), Some(42), "{status}\n{}", place.text("err"));
}
