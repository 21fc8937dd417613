//! POSIX timers on kernels that do not let a process choose their ids.

use ckpt_tests::{Launch, Missing, Place, Program, restorer};

/// `PR_TIMER_CREATE_RESTORE_IDS` (include/uapi/linux/prctl.h), since Linux 6.15.
const CHOOSE_IDS: Missing = Missing {
    call: libc::SYS_prctl,
    argument: (0, 77),
    error: libc::EINVAL,
};

#[test]
fn ids_come_back_on_an_older_kernel() {
    let program = Program::compile("posix_timer.c");
    let (older_kernel, arguments) = CHOOSE_IDS.runner();
    let place = Place::new("posix_timers");
    let mut process = Launch::under_libckpt(older_kernel.path())
        .args(&arguments)
        .arg(program.path())
        .start(&place);
    process.wait_until_ready();
    for _ in 0..3 {
        process.checkpoint();
        process.kill();
        process = Launch::plain(older_kernel.path())
            .args(&arguments)
            .arg(restorer())
            .arg("myckpt")
            .start(&place);
        process.wait_for_a_sign_of_life();
    }
    place.release();
    let status = process.wait();
    assert_eq!(status.code(), Some(42), "{status}\n{}", place.text("err"));
}
