//! The variables of the environment that libckpt knows.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;

use ckpt_tests::{CHECKPOINT_SIGNAL, Launch, Place, Process, Program, until};

fn start(place: &Place, variables: &[(&str, &str)]) -> Process {
    let program = Program::compile("plain.c");
    let launch = variables
        .iter()
        .fold(program.launch(), |launch, (name, value)| {
            launch.env(name, value)
        });
    let mut process = launch.start(place);
    process.wait_until_ready();
    process
}

fn assert_unharmed(mut process: Process, place: &Place) {
    place.release();
    assert_eq!(process.wait().code(), Some(42), "{}", place.text("err"));
}

#[test]
fn without_a_signal_nothing_happens() {
    let place = Place::new("nothing");
    assert_unharmed(start(&place, &[]), &place);
    assert_eq!(place.names(), ["err", "out", "ready", "release"]);
    assert_eq!(place.text("err") + &place.text("out"), "");
}

#[test]
fn a_checkpoint_is_announced_in_one_line() {
    let place = Place::new("line");
    let mut process = start(&place, &[]);
    process.checkpoint();
    let line = until("the line", || {
        Some(place.text("err")).filter(|text| text.ends_with('\n'))
    });
    let path = place.file("myckpt").display().to_string();
    assert!(
        line.starts_with(&format!("libckpt: wrote {path} (")),
        "{line}"
    );
    for part in [" MiB, pause ", " ms, writing ", " ms, sync ", " ms, total "] {
        assert!(line.contains(part), "{line}");
    }
    assert_eq!(line.lines().count(), 1, "{line}");
    let mode = fs::metadata(&path)
        .expect("the image exists")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_unharmed(process, &place);
    assert_eq!(place.leftovers(), [""; 0]);
}

#[test]
fn ckpt_file_names_the_image() {
    let place = Place::new("file");
    fs::create_dir(place.file("images")).expect("a place is writable");
    let absolute = place.file("absolute").display().to_string();
    for (value, name) in [
        ("other", "other"),
        ("images/one", "images/one"),
        (absolute.as_str(), "absolute"),
    ] {
        let mut process = start(&place, &[("CKPT_FILE", value)]);
        process.try_checkpoint(name).expect("a checkpoint");
    }
}

#[test]
fn ckpt_file_may_contain_the_pid_and_percents() {
    let place = Place::new("percent");
    let mut process = start(&place, &[("CKPT_FILE", "a%%b.%p.%p")]);
    let pid = process.pid();
    process
        .try_checkpoint(&format!("a%b.{pid}.{pid}"))
        .expect("a checkpoint");
}

#[test]
fn ckpt_signal_may_be_a_number_or_a_name() {
    for (value, signal) in [
        ("10", libc::SIGUSR1),
        ("USR1", libc::SIGUSR1),
        ("SIGHUP", libc::SIGHUP),
        ("64", 64),
    ] {
        let place = Place::new("ckpt-signal");
        let mut process = start(&place, &[("CKPT_SIGNAL", value)]);
        process.wait_until_catches(signal);
        assert!(!process.catches(CHECKPOINT_SIGNAL), "{value}");
        process.signal(signal);
        until("the image", || place.file("myckpt").exists().then_some(()));
        process.kill();
        place.release();
        let status = Launch::restorer(["myckpt"]).start(&place).wait();
        assert_eq!(
            status.code(),
            Some(42),
            "{value}: {}",
            place.text("restorer.err")
        );
    }
}

#[test]
fn ckpt_quiet_silences_the_line() {
    for (value, lines) in [("1", 0), ("0", 1)] {
        let place = Place::new("quiet");
        let mut process = start(&place, &[("CKPT_QUIET", value)]);
        process.checkpoint();
        if lines > 0 {
            until("the line", || {
                place.text("err").ends_with('\n').then_some(())
            });
        }
        assert_unharmed(process, &place);
        assert_eq!(place.text("err").lines().count(), lines);
    }
}

/// Also where the program has put a file of its own in the place of stderr, and where that is full.
#[test]
fn ckpt_log_names_a_file_for_the_lines() {
    let place = Place::new("log");
    let program = Program::compile("stderr_elsewhere.c");
    let log = place.file("log");
    let mut process = program.launch().env("CKPT_LOG", &log).start(&place);
    process.wait_until_ready();
    process.checkpoint();
    let lines = || place.text("log").matches("libckpt: wrote").count();
    until("the line", || (lines() == 1).then_some(()));
    process.kill();
    let mut process = Launch::restorer(["myckpt"]).start(&place);
    process.wait_for_a_sign_of_life();
    process.checkpoint();
    until("the next line", || (lines() == 2).then_some(()));
    place.release();
    let status = process.wait();
    assert_eq!(status.code(), Some(42), "{}", place.text("restorer.err"));
    assert_eq!(place.text("err"), "");

    let place = Place::new("log-full");
    let launch = Launch::under_libckpt(Program::compile("plain.c").path());
    let mut process = launch.env("CKPT_LOG", "/dev/full").start(&place);
    process.wait_until_ready();
    process.checkpoint();
    until("the line", || {
        place.text("err").contains("libckpt: wrote").then_some(())
    });
    assert_unharmed(process, &place);
}

#[test]
fn ckpt_after_exit_ends_the_program_with_status_85() {
    let place = Place::new("after-exit");
    let mut process = start(&place, &[("CKPT_AFTER", "exit")]);
    process.wait_until_armed();
    process.signal(CHECKPOINT_SIGNAL);
    assert_eq!(process.wait().code(), Some(85), "{}", place.text("err"));
    // The image is complete at the moment of the end.
    assert_eq!(place.leftovers(), [""; 0]);
    place.release();
    let status = Launch::restorer(["myckpt"]).start(&place).wait();
    assert_eq!(status.code(), Some(42), "{}", place.text("restorer.err"));
}

#[test]
fn ckpt_after_exit_does_not_end_the_program_without_an_image() {
    let place = Place::new("after-failure");
    let mut process = start(
        &place,
        &[("CKPT_AFTER", "exit"), ("CKPT_FILE", "no/such/directory")],
    );
    process
        .try_checkpoint("myckpt")
        .expect_err("there is no such directory");
    assert_unharmed(process, &place);
}

#[test]
fn ckpt_after_continue_is_the_default() {
    let place = Place::new("after-continue");
    let mut process = start(&place, &[("CKPT_AFTER", "continue")]);
    process.checkpoint();
    assert_unharmed(process, &place);
}

#[test]
fn ckpt_children_ignore_saves_the_program_without_them() {
    let place = Place::new("children");
    let program = Program::compile("refused_child.c");
    let mut process = program
        .launch()
        .env("CKPT_CHILDREN", "ignore")
        .start(&place);
    process.wait_until_ready();
    process.checkpoint();
    assert_unharmed(process, &place);
}

#[test]
fn of_many_children_the_first_are_named() {
    let place = Place::new("many-children");
    let mut process = Launch::under_libckpt(Program::workload("children.c").path()).start(&place);
    process.wait_until_ready();
    let line = process
        .try_checkpoint("myckpt")
        .expect_err("it has children");
    let children = place.text("children");
    let (_, list) = line.split_once("(pid ").expect("they are listed");
    let (list, _) = list.split_once(" and more)").expect("not all of them");
    let named: Vec<&str> = list.split(' ').collect();
    assert!(named.len() > 20, "{line}");
    for pid in named {
        assert!(children.lines().any(|child| child == pid), "{pid}: {line}");
    }
    assert_unharmed(process, &place);
}

#[test]
fn an_invalid_value_is_named_and_libckpt_is_off() {
    let invalid = [
        ("CKPT_SIGNAL", "0"),
        ("CKPT_SIGNAL", "65"),
        ("CKPT_SIGNAL", "KILL"),
        ("CKPT_SIGNAL", "SIGSTOP"),
        ("CKPT_SIGNAL", "33"),
        ("CKPT_SIGNAL", ""),
        ("CKPT_SIGNAL", "NOSUCH"),
        ("CKPT_SIGNAL", "99999999999999999999"),
        ("CKPT_QUIET", "yes"),
        ("CKPT_IO_URING", "0"),
        ("CKPT_AFTER", "sleep"),
        ("CKPT_CHILDREN", "kill"),
        ("CKPT_MODE", "quick"),
        ("CKPT_DELETED", "1X"),
        ("CKPT_DELETED", "99999999999G"),
        ("CKPT_THIN", "2"),
        ("CKPT_COMPRESS", "zip"),
        ("CKPT_COMPRESS", ""),
        ("CKPT_TIMEOUT", "0"),
        ("CKPT_TIMEOUT", "soon"),
        ("CKPT_LOG", ""),
        ("CKPT_LOG", "directory/"),
        ("CKPT_FILE", ""),
        ("CKPT_FILE", "a%d"),
        ("CKPT_FILE", "a%"),
        ("CKPT_FILE", "directory/"),
    ];
    for (name, value) in invalid {
        let place = Place::new("invalid");
        let mut process = start(&place, &[(name, value)]);
        let err = place.text("err");
        assert!(
            err.starts_with(&format!("libckpt: {name}={value}: ")),
            "{name}={value}: {err}"
        );
        assert!(
            err.ends_with("; libckpt is off\n") && err.lines().count() == 1,
            "{err}"
        );
        // As without libckpt, the signal kills.
        process.signal(CHECKPOINT_SIGNAL);
        assert_eq!(
            process.wait().signal(),
            Some(CHECKPOINT_SIGNAL),
            "{name}={value}"
        );
    }
}

#[test]
fn a_value_that_is_too_long_is_refused() {
    let place = Place::new("too-long");
    let process = start(&place, &[("CKPT_FILE", &"x".repeat(5000))]);
    let err = place.text("err");
    assert!(
        err.starts_with("libckpt: CKPT_FILE=") && err.ends_with("; libckpt is off\n"),
        "{err}"
    );
    assert_unharmed(process, &place);
}

#[test]
fn the_image_of_a_live_process_is_left_alone() {
    let place = Place::new("alive");
    let mut owner = start(&place, &[]);
    owner.checkpoint();
    let image = place.bytes("myckpt");
    let mut other = start(&place, &[]);
    let pid = other.pid();
    let name = format!("myckpt.{pid}");
    other.try_checkpoint(&name).expect("a checkpoint");
    assert!(
        place.bytes("myckpt") == image,
        "the image of the live process changed"
    );
    let said = format!("; myckpt belongs to the live process {}\n", owner.pid());
    until("the line that says so", || {
        place.text("err").contains(&said).then_some(())
    });
    // The owner may replace its own, and when it is gone, anybody.
    owner.checkpoint();
    owner.kill();
    other.checkpoint();
}

#[test]
fn two_processes_at_the_same_instant_write_two_images() {
    for _ in 0..10 {
        let place = Place::new("instant");
        let mut pair = [(); 2].map(|()| start(&place, &[]));
        for process in &mut pair {
            process.wait_until_armed();
        }
        for process in &pair {
            process.signal(CHECKPOINT_SIGNAL);
        }
        let suffixed = || {
            place
                .names()
                .into_iter()
                .filter(|name| name.starts_with("myckpt."))
                .count()
        };
        until("two images", || {
            (place.file("myckpt").exists() && suffixed() == 1).then_some(())
        });
    }
}

#[test]
fn a_checkpoint_replaces_the_image_of_a_dead_process() {
    let place = Place::new("dead");
    let mut first = start(&place, &[]);
    first.checkpoint();
    first.kill();
    let mut second = start(&place, &[]);
    second.checkpoint();
    assert_unharmed(second, &place);
    assert_eq!(place.names(), ["err", "myckpt", "out", "ready", "release"]);
}

#[test]
fn programs_that_the_program_starts_inherit_the_preload() {
    let place = Place::new("inherit");
    let program = Program::compile("plain.c");
    let mut process = Launch::under_libckpt("/bin/sh")
        .args(["-c", "exec \"$0\""])
        .arg(program.path())
        .start(&place);
    process.wait_until_ready();
    process.checkpoint();
    assert_unharmed(process, &place);
}

/// The lines about images that were written.
fn written(place: &Place) -> usize {
    let lines = place.text("err");
    lines.lines().filter(|line| line.contains("wrote")).count()
}

/// Keeps images in `place` from being published as long as it lives.
fn hold_back(place: &Place) -> File {
    let directory = File::open(place.path()).expect("the directory is there");
    directory.lock().expect("nobody else has locked it");
    directory
}

#[test]
fn the_program_goes_on_while_its_image_is_written() {
    let place = Place::new("goes-on");
    let mut process = start(&place, &[]);
    process.wait_until_armed();
    let held = hold_back(&place);
    process.signal(CHECKPOINT_SIGNAL);
    until("the temporary file", || place.leftovers().first().map(drop));
    process.wait_for_a_sign_of_life();
    assert!(!place.file("myckpt").exists());
    drop(held);
    until("the line", || (written(&place) == 1).then_some(()));
    assert_unharmed(process, &place);
}

#[test]
fn a_program_may_end_before_its_image_is_written() {
    let place = Place::new("ends");
    let mut process = start(&place, &[]);
    process.wait_until_armed();
    let held = hold_back(&place);
    process.signal(CHECKPOINT_SIGNAL);
    until("the temporary file", || place.leftovers().first().map(drop));
    process.kill();
    drop(held);
    until("the line", || (written(&place) == 1).then_some(()));
    place.release();
    let status = Launch::restorer(["myckpt"]).start(&place).wait();
    assert_eq!(status.code(), Some(42), "{}", place.text("restorer.err"));
}

#[test]
fn a_checkpoint_during_another_ones_writing_is_written_behind_it() {
    let place = Place::new("behind");
    let mut process = start(&place, &[]);
    process.wait_until_armed();
    let held = hold_back(&place);
    process.signal(CHECKPOINT_SIGNAL);
    until("the temporary file", || place.leftovers().first().map(drop));
    process.wait_for_a_sign_of_life();
    process.signal(CHECKPOINT_SIGNAL);
    process.wait_for_a_sign_of_life();
    drop(held);
    until("both lines", || (written(&place) == 2).then_some(()));
    assert_eq!(place.leftovers(), [""; 0]);
    assert_unharmed(process, &place);
}

#[test]
fn a_checkpoint_for_which_the_last_one_is_in_the_way_says_so() {
    let place = Place::new("in-the-way");
    let mut process = start(&place, &[("CKPT_MODE", "stop")]);
    process.wait_until_armed();
    let name = format!(".myckpt.{}.tmp", process.pid());
    let writing = File::create(place.file(&name)).expect("the place is writable");
    writing.lock().expect("nobody else has locked it");
    let line = process
        .try_checkpoint("myckpt")
        .expect_err("its file cannot be made");
    assert!(line.contains("still being written; send"), "{line}");
    drop(writing);
    process.checkpoint();
    assert_eq!(place.leftovers(), [""; 0]);
    assert_unharmed(process, &place);
}

#[test]
fn ckpt_mode_stop_lets_the_program_write_its_image_itself() {
    let place = Place::new("stop");
    let mut process = start(&place, &[("CKPT_MODE", "stop")]);
    process.wait_until_armed();
    let held = hold_back(&place);
    process.signal(CHECKPOINT_SIGNAL);
    until("the temporary file", || place.leftovers().first().map(drop));
    let file = place.leftovers().remove(0);
    assert_eq!(file, format!(".myckpt.{}.tmp", process.pid()));
    let holders = format!("/proc/{}/fd", process.pid());
    let holds = fs::read_dir(holders).expect("it lives").any(|entry| {
        let link = entry.and_then(|entry| fs::read_link(entry.path()));
        link.is_ok_and(|link| link == place.file(&file))
    });
    assert!(holds, "the program itself has the file open");
    drop(held);
    until("the line", || (written(&place) == 1).then_some(()));
    assert_unharmed(process, &place);
}
