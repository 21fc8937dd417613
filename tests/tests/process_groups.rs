//! What leads its session, and its process group, does so again, as far as a new process may.

use std::fs;

use ckpt_tests::{CHECKPOINT_SIGNAL, Launch, Place, Program, restorer, until};

/// Process group and session of a process.
fn group_and_session(pid: i32) -> [i32; 2] {
    // SAFETY: the calls take plain numbers.
    unsafe { [libc::getpgid(pid), libc::getsid(pid)] }
}

fn send(pid: i32, signal: i32) {
    // SAFETY: the call takes plain numbers.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0, "it lives");
}

/// The process whose id a shell has written there.
fn pid_in(place: &Place, name: &str) -> i32 {
    until("a process id", || {
        fs::read_to_string(place.file(name))
            .ok()?
            .trim()
            .parse()
            .ok()
    })
}

/// Takes a checkpoint of a program that leads a session without a terminal, and kills it.
fn checkpoint_of_session_leader(program: &Program, place: &Place) {
    // The shell that becomes the program leads the session.
    let start = "echo $$ >started.new; mv started.new started; exec \"$0\"";
    let mut leader = Launch::under_libckpt("/usr/bin/setsid")
        .args(["--wait", "sh", "-c", start])
        .arg(program.path())
        .start(place);
    leader.wait_until_ready();
    let pid = pid_in(place, "started");
    assert_eq!(group_and_session(pid), [pid; 2]);
    send(pid, CHECKPOINT_SIGNAL);
    until("an image", || place.file("myckpt").exists().then_some(()));
    send(pid, libc::SIGKILL);
    let _ = leader.wait();
}

/// Has a program with a controlling terminal of its own restored by `restorer`, and returns what the program and the restorer say.
fn terminal_after(restorer: Launch, name: &str) -> (String, String) {
    terminal_of("controlling_terminal.c", restorer, name)
}

/// Likewise, for the program in this file of `workloads/`.
fn terminal_of(file: &str, restorer: Launch, name: &str) -> (String, String) {
    let (program, place) = (Program::workload(file), Place::new(name));
    checkpoint_of_session_leader(&program, &place);
    let mut after = restorer.start(&place);
    after.wait_for_a_sign_of_life();
    place.release();
    assert_eq!(after.wait().code(), Some(42));
    (place.text("out"), place.text("restorer.err"))
}

#[test]
fn a_terminal_of_its_own_controls_its_session_again() {
    let leads = Launch::restorer(["myckpt"]);
    let (said, warned) = terminal_after(leads, "controls_not");
    assert_eq!(said, "does not\n");
    assert!(
        warned.contains("start the restorer with setsid(1)"),
        "{warned}"
    );

    let session = Launch::plain("/usr/bin/setsid")
        .args(["--wait"])
        .arg(restorer())
        .arg("myckpt");
    let (said, warned) = terminal_after(session, "controls");
    assert_eq!(said, "controls\n");
    assert_eq!(warned, "");

    // A process of a group that another one leads, in a session without a terminal, as from a script of cron's.
    let script = Launch::plain("/usr/bin/setsid")
        .args(["--wait", "sh", "-c", "\"$0\" myckpt; exit $?"])
        .arg(restorer());
    let (said, warned) = terminal_after(script, "controls_from_script");
    assert_eq!(said, "controls\n");
    assert_eq!(warned, "");
}

#[test]
fn a_terminal_of_its_own_that_nobody_has_open_controls_its_session_again() {
    let session = Launch::plain("/usr/bin/setsid")
        .args(["--wait"])
        .arg(restorer())
        .arg("myckpt");
    let (said, warned) = terminal_of("controlling_terminal_closed.c", session, "controls_closed");
    assert_eq!(said, "controls\n");
    assert!(!warned.contains("controlling terminal"), "{warned}");
}

#[test]
fn a_daemon_leads_its_session_again() {
    let (program, place) = (Program::compile("plain.c"), Place::new("process_groups"));
    checkpoint_of_session_leader(&program, &place);

    // The restorer is one of the processes of a group that another one leads, in a session without a terminal.
    let restore = "\"$0\" myckpt & echo $! >restored.new; mv restored.new restored; wait $!";
    let mut shell = Launch::plain("/usr/bin/setsid")
        .args(["--wait", "sh", "-c", restore])
        .arg(restorer())
        .start(&place);
    shell.wait_for_a_sign_of_life();
    let pid = pid_in(&place, "restored");
    assert_eq!(group_and_session(pid), [pid; 2]);
    place.release();
    assert_eq!(shell.wait().code(), Some(42));
}
