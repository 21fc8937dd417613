//! The restorer's command line, and what its caller gets to know.

use std::fs;
use std::os::unix::process::ExitStatusExt;

use ckpt_tests::{Launch, Output, Place, Portrait, Program, restorer, until};

/// Runs the restorer: exit code, standard output, standard error.
fn run(place: &Place, args: &[&str]) -> (Option<i32>, String, String) {
    let status = Launch::restorer(args).start(place).wait();
    (
        status.code(),
        place.text("restorer.out"),
        place.text("restorer.err"),
    )
}

/// A place with an image of the plain program, which is killed, and its portrait.
fn image(test: &str) -> (Place, Portrait) {
    let place = Place::new(test);
    let mut process = Program::compile("plain.c").start(&place);
    let before = process.portrait();
    process.checkpoint();
    process.kill();
    (place, before)
}

#[test]
fn help_and_version() {
    let place = Place::new("help");
    let (code, out, err) = run(&place, &["--help"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    for word in [
        "restorer",
        "--plan",
        "--verify",
        "--any-owner",
        "--any-processor",
        "--allow-changed",
        "--file",
        "--truncate",
        "--to-core",
        "--pid",
        "--env",
        "--version",
    ] {
        assert!(out.contains(word), "{word} is not in: {out}");
    }
    let place = Place::new("version");
    let (code, out, err) = run(&place, &["--version"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(out.contains(env!("CARGO_PKG_VERSION")), "{out}");
}

#[test]
fn standard_output_that_cannot_be_written_is_named() {
    let (place, _) = image("full_output");
    for options in [
        &["--help"][..],
        &["--verify", "myckpt"],
        &["--plan", "myckpt"],
    ] {
        let _ = fs::remove_file(place.file("restorer.err"));
        let status = Launch::restorer(options)
            .stdout(Output::File("/dev/full"))
            .start(&place)
            .wait();
        let said = place.text("restorer.err");
        assert_eq!(status.code(), Some(122), "{options:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(
            said.contains("standard output") && said.contains("ENOSPC"),
            "{said}"
        );
    }
}

#[test]
fn wrong_usage_is_one_line_and_status_120() {
    for args in [
        &[][..],
        &["--nonsense", "myckpt"],
        &["one", "two"],
        &["--plan"],
        &["--to-core", "myckpt"],
        &["--to-core", "myckpt", "core", "other"],
        &["--file", "data=/data", "myckpt"],
        &["--env", "JOB", "myckpt"],
        &["--"],
        &[""],
    ] {
        let place = Place::new("usage");
        let (code, out, err) = run(&place, args);
        assert_eq!((code, out.as_str()), (Some(120), ""), "{args:?}: {err}");
        assert!(
            err.starts_with("restorer: ") && err.lines().count() == 1,
            "{args:?}: {err}"
        );
    }
}

#[test]
fn a_missing_image_is_one_line_and_status_121() {
    let place = Place::new("missing");
    let (code, _, err) = run(&place, &["no-such-image"]);
    assert_eq!(code, Some(121), "{err}");
    assert!(
        err.contains("no-such-image") && err.contains("ENOENT") && err.lines().count() == 1,
        "{err}"
    );
}

#[test]
fn a_plan_is_printed_and_not_executed() {
    let (place, _) = image("plan");
    place.release();
    let (code, out, err) = run(&place, &["--plan", "myckpt"]);
    assert_eq!(
        (code, err.as_str()),
        (Some(0), ""),
        "the program would have ended with 42"
    );
    for word in ["munmap", "mremap", "prctl"] {
        assert!(out.contains(word), "{word} is not in: {out}");
    }
}

#[test]
fn an_image_is_verified_and_not_restored() {
    let (place, _) = image("verify");
    place.release();
    let (code, out, err) = run(&place, &["--verify", "myckpt"]);
    assert_eq!(
        (code, err.as_str()),
        (Some(0), ""),
        "the program would have ended with 42"
    );
    assert_eq!(out.lines().count(), 1, "{out}");
}

#[test]
fn the_exit_status_comes_through() {
    let (place, _) = image("status");
    place.release();
    let (code, out, err) = run(&place, &["myckpt"]);
    assert_eq!((code, out.as_str(), err.as_str()), (Some(42), "", ""));
}

#[test]
fn an_image_can_be_restored_again_and_in_two_processes_at_once() {
    let (place, before) = image("twice");
    let mut twins = [(); 2].map(|()| Launch::restorer(["--", "./myckpt"]).start(&place));
    for twin in &mut twins {
        twin.wait_until_it_looks_like(&before);
    }
    place.release();
    for twin in &mut twins {
        assert_eq!(twin.wait().code(), Some(42));
    }
}

#[test]
fn a_signal_that_ends_the_program_during_a_checkpoint_is_not_in_the_image() {
    let place = Place::new("during");
    let mut process = Program::compile("plain.c").start(&place);
    process.wait_until_ready();
    // Both are there when the program goes on; the lower number comes first, and its handler blocks the other.
    process.stop();
    process.signal(libc::SIGUSR2);
    process.signal(libc::SIGTERM);
    process.signal(libc::SIGCONT);
    assert_eq!(process.wait().signal(), Some(libc::SIGTERM));
    // It may be written to its end after the program's.
    until("the image", || place.file("myckpt").exists().then_some(()));
    place.release();
    let mut restored = Launch::restorer(["myckpt"]).start(&place);
    assert_eq!(
        restored.wait().code(),
        Some(42),
        "{}",
        place.text("restorer.err")
    );
}

#[test]
fn death_by_signal_comes_through() {
    for signal in [libc::SIGTERM, libc::SIGSEGV, libc::SIGABRT] {
        let (place, before) = image("signal");
        let mut restored = Launch::restorer(["myckpt"]).start(&place);
        restored.wait_until_it_looks_like(&before);
        restored.signal(signal);
        assert_eq!(restored.wait().signal(), Some(signal));
    }
}

#[test]
fn a_name_may_be_long_or_odd() {
    let (place, _) = image("name");
    place.release();
    for name in [
        "-dash",
        "with space",
        "line\nbreak",
        "\u{e9}",
        &"x".repeat(255),
    ] {
        std::fs::copy(place.file("myckpt"), place.file(name)).expect("a place is writable");
        let status = Launch::restorer(["--", name]).start(&place).wait();
        assert_eq!(
            status.code(),
            Some(42),
            "{name:?}: {}",
            place.text("restorer.err")
        );
    }
}

#[test]
fn a_name_that_is_too_long_is_refused() {
    let place = Place::new("long");
    let (code, _, err) = run(&place, &[&"x/".repeat(3000)]);
    assert!(code == Some(120) || code == Some(121), "{code:?} {err}");
    assert_eq!(err.lines().count(), 1, "{err}");
}

/// A debugger's or tracer's view of a shell session: the restorer is a job of the shell and becomes the program.
#[test]
fn the_shell_sees_the_program() {
    let (place, _) = image("shell");
    place.release();
    let script = format!("'{}' myckpt; echo $?", restorer().display());
    let status = Launch::plain("/bin/sh")
        .args(["-c", &script])
        .start(&place)
        .wait();
    assert_eq!(
        (status.code(), place.text("out").as_str()),
        (Some(0), "42\n")
    );
}

#[test]
fn standard_output_that_was_a_pipe_is_the_restorers() {
    use ckpt_tests::Output;
    let place = Place::new("pipe");
    let (reader, writer) = std::io::pipe().expect("there are pipes");
    let program = Program::compile("speak.c");
    let mut process = program
        .launch()
        .stdout(Output::Descriptor(writer.into()))
        .start(&place);
    process.wait_until_ready();
    process.checkpoint();
    process.kill();
    drop(reader);
    place.release();
    let status = Launch::restorer(["myckpt"]).start(&place).wait();
    assert_eq!(status.code(), Some(42), "{}", place.text("restorer.err"));
    assert_eq!(place.text("restorer.out"), "I am here\n");
}

#[test]
fn a_normal_user_needs_no_privileges() {
    let place = Place::of_nobody("user");
    let mut process = Program::compile("plain.c")
        .launch()
        .as_nobody()
        .start(&place);
    process.wait_until_ready();
    let before = process.portrait();
    process.checkpoint();
    process.kill();
    let mut restored = Launch::restorer(["myckpt"]).as_nobody().start(&place);
    restored.wait_until_it_looks_like(&before);
    place.release();
    assert_eq!(
        restored.wait().code(),
        Some(42),
        "{}",
        place.text("restorer.err")
    );
}

#[test]
fn the_restorers_surroundings_do_not_get_into_the_program() {
    let surroundings = [
        ("closed descriptors", "exec <&- >&- 2>&-"),
        ("other descriptors", "exec 3</dev/null 9</dev/null"),
        ("ignored signals", "trap '' HUP INT TERM USR1 USR2 CHLD"),
        ("another umask", "umask 0"),
        (
            "another directory",
            "here=$PWD; cd /; set -- \"$1\" \"$here/$2\"",
        ),
        ("a large environment", "export LARGE=$(printf %0100000d 1)"),
        ("a limit of the stack", "ulimit -S -s 2048"),
        ("an unlimited stack", "ulimit -S -s unlimited"),
    ];
    for (what, words) in surroundings {
        let (place, before) = image("surroundings");
        let script = format!("{words}\nexec \"$1\" \"$2\"");
        let launch = Launch::plain("/bin/sh")
            .args(["-c", &script, "sh"])
            .arg(restorer());
        let mut restored = launch.arg("myckpt").start(&place);
        restored.wait_until_armed();
        restored.wait_until_it_looks_like(&before);
        place.release();
        let status = restored.wait();
        assert_eq!(status.code(), Some(42), "{what}: {}", place.text("err"));
    }
}

#[test]
fn too_little_memory_is_status_122() {
    let place = Place::new("memory");
    let mut process = Program::compile("big_heap.c").start(&place);
    process.checkpoint();
    process.kill();
    place.release();
    let status = Launch::restorer(["myckpt"])
        .limit(libc::RLIMIT_AS, 32 << 20)
        .start(&place)
        .wait();
    let err = place.text("restorer.err");
    assert_eq!(status.code(), Some(122), "{err}");
    assert!(err.contains("ENOMEM") && err.lines().count() == 1, "{err}");
}

/// A program of 510 descriptors of all kinds that need more, under a limit of little more than twice that, and under a lower one.
#[test]
fn a_restart_needs_few_descriptors_more_than_the_program() {
    let program = Program::compile("descriptors_many.c");
    for (limit, fits) in [(1130, true), (600, false)] {
        let place = Place::new("descriptors_many");
        let launch = Launch::under_libckpt(program.path()).limit(libc::RLIMIT_NOFILE, limit);
        let mut process = launch.start(&place);
        process.wait_until_ready();
        process.checkpoint();
        process.kill();
        let warned = place.text("err").contains("warning: a restart takes");
        assert_eq!(warned, !fits, "{}", place.text("err"));
        place.release();
        let status = Launch::restorer(["myckpt"])
            .limit(libc::RLIMIT_NOFILE, limit)
            .start(&place)
            .wait();
        let err = place.text("restorer.err");
        assert_eq!(status.code(), Some(if fits { 42 } else { 123 }), "{err}");
        assert!(
            fits || err.contains("ulimit -Hn") && err.lines().count() == 1,
            "{err}"
        );
    }
}

/// Whoever looks at the command line of a process has the kernel read it in the process's memory, where there may be a stack
/// that grows when it is touched.
#[test]
fn ps_does_not_make_the_stack_of_a_restored_program_grow() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let place = Place::new("ps");
    let mut process = Program::compile("plain.c")
        .launch()
        .without_aslr()
        .start(&place);
    process.wait_until_ready();
    let before = process.portrait();
    process.checkpoint();
    process.kill();
    for _ in 0..20 {
        // Both stacks end at the same address. So large an environment has the arguments of the restorer lie below the stack
        // of the program, near enough for that to reach them.
        let mut launch = Launch::restorer(["myckpt"]).without_aslr();
        for number in 0..10 {
            launch = launch.env(format!("LARGE_{number}"), "1".repeat(100_000));
        }
        let mut restored = launch.start(&place);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let path = format!("/proc/{}/cmdline", restored.pid());
            let stop = &stop;
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let _ = std::fs::read(&path);
                }
            });
            restored.wait_for_a_sign_of_life();
            stop.store(true, Ordering::Relaxed);
        });
        restored.wait_until_it_looks_like(&before);
        restored.kill();
    }
}
