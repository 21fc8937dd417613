//! One image, restored many times: each process finds its own job in its environment.

use std::fs;

use ckpt_tests::{Launch, Place, Program, not_run, tool, until, workload};

const JOBS: usize = 100;

/// A place with the image of a python3 script that has frozen itself, and has ended with that.
fn frozen(test: &str) -> Option<Place> {
    let python = tool(test, "python3")?;
    let place = Place::new(test);
    let status = Launch::under_libckpt(python)
        .arg(workload("warm.py"))
        .env("CKPT_AFTER", "exit")
        .start(&place)
        .wait();
    assert_eq!(status.code(), Some(85), "{}", place.text("err"));
    Some(place)
}

#[test]
fn a_hundred_python3_servers_are_restored_from_one_image_at_once() {
    let Some(place) = frozen("warm") else {
        return;
    };
    let launch = |number: usize| {
        let job = format!("JOB={{\"name\": \"job {number}\", \"number\": {number}}}");
        Launch::restorer(["--env", &job])
            .args(["--env", &format!("RESULT=result.{number}"), "myckpt"])
            .start(&place)
    };
    let mut servers: Vec<_> = (0..JOBS).map(launch).collect();
    for (number, server) in servers.iter_mut().enumerate() {
        let status = server.wait();
        assert!(status.success(), "{number}: {}", place.text("err"));
        let result = place.text(&format!("result.{number}"));
        let (name, digest) = result.trim_end().rsplit_once(' ').expect("two words");
        assert_eq!(name, format!("job {number}"));
        assert!(digest.len() == 64, "{digest}");
    }
    let digest = |number| place.text(&format!("result.{number}")).split_off(6);
    assert_ne!(digest(0), digest(1));
}

#[test]
fn settings_can_be_changed_at_a_restart() {
    let place = Place::new("settings");
    let mut process = Program::compile("plain.c").start(&place);
    process.checkpoint();
    process.kill();
    let mut restored = Launch::restorer(["--env", "CKPT_FILE=other", "--env", "CKPT_SIGNAL=40"])
        .args(["--env", "CKPT_AFTER=exit", "myckpt"])
        .start(&place);
    restored.wait_until_armed();
    let before = fs::metadata(place.file("myckpt")).expect("it is there");
    restored.signal(libc::SIGUSR2);
    assert_eq!(restored.wait().code(), Some(85), "{}", place.text("err"));
    until("the image", || place.file("other").exists().then_some(()));
    let after = fs::metadata(place.file("myckpt")).expect("it is there");
    assert_eq!(before.modified().ok(), after.modified().ok());
}

#[test]
fn a_setting_that_cannot_be_used_changes_nothing() {
    let place = Place::new("wrong-setting");
    let mut process = Program::compile("plain.c").start(&place);
    process.checkpoint();
    process.kill();
    let mut restored = Launch::restorer(["--env", "CKPT_MODE=none", "--env", "CKPT_FILE=other"])
        .arg("myckpt")
        .start(&place);
    restored.checkpoint();
    assert!(!place.file("other").exists());
    let line = restored.errors();
    assert!(line.contains("CKPT_MODE=none"), "{line}");
    place.release();
    assert_eq!(restored.wait().code(), Some(42));
}

#[test]
fn a_program_that_is_not_dumpable_keeps_its_other_settings() {
    let program = Program::compile("not_dumpable.c");
    if let Some(hindrance) = program.hindrance() {
        return not_run("not_dumpable.c", &hindrance);
    }
    let place = Place::of_nobody("settings-not-dumpable");
    let mut process = program.launch().env("CKPT_AFTER", "exit").start(&place);
    process.wait_until_ready();
    process.signal(libc::SIGUSR2);
    assert_eq!(process.wait().code(), Some(85), "{}", place.text("err"));
    let mut restored =
        Launch::restorer(["--any-owner", "--env", "CKPT_FILE=other", "myckpt"]).start(&place);
    restored.wait_until_armed();
    restored.signal(libc::SIGUSR2);
    assert_eq!(restored.wait().code(), Some(85), "{}", place.text("err"));
    until("the image", || place.file("other").exists().then_some(()));
}
