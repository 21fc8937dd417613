//! Programs of the distribution, checkpointed at random moments of their work, killed, and restored, five times in a row:
//! their output is the same to the byte as that of an undisturbed run.
//!
//! `CKPT_TEST_ROUNDS` says how often each is run (3), `CKPT_TEST_SEED` repeats the moments of an earlier run.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use ckpt_tests::{CHECKPOINT_SIGNAL, Launch, Place, Program, Random, tool};

const GENERATIONS: u32 = 5;

fn rounds() -> u32 {
    std::env::var("CKPT_TEST_ROUNDS").map_or(3, |text| {
        text.parse().expect("CKPT_TEST_ROUNDS is a number")
    })
}

fn workload(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("workloads")
        .join(name)
}

/// What the program writes if nobody disturbs it, and how long that takes.
fn undisturbed(
    test: &str,
    launch: impl Fn(&Path) -> Launch,
    program: &Path,
) -> (Vec<u8>, Duration) {
    let place = Place::new(test);
    let start = Instant::now();
    let status = launch(program).without_libckpt().start(&place).wait();
    assert!(
        status.success(),
        "undisturbed: {status}: {}",
        place.text("err")
    );
    let output = place.bytes("out");
    assert!(!output.is_empty(), "there is no output to compare");
    (output, start.elapsed())
}

/// Runs a program `rounds()` times, disturbed, and compares its output.
fn is_not_disturbed(test: &str, program: &Path, launch: impl Fn(&Path) -> Launch) {
    let (expected, duration) = undisturbed(test, &launch, program);
    let mut random = Random::new(test);
    for round in 1..=rounds() {
        let place = Place::new(test);
        let mut process = launch(program).start(&place);
        let mut generation = 0;
        while generation < GENERATIONS {
            sleep(random.shorter_than(duration / GENERATIONS));
            if !process.checkpoint_unless_ended() {
                break;
            }
            // What it writes from here on is written again after the restart.
            sleep(random.shorter_than(Duration::from_millis(30)));
            process.kill();
            process = Launch::restorer(["myckpt"]).start(&place);
            generation += 1;
        }
        let status = process.wait();
        let errors = place.text("err") + &place.text("restorer.err");
        assert!(
            status.success(),
            "round {round}, generation {generation}: {status}\n{errors}"
        );
        assert!(
            place.bytes("out") == expected,
            "round {round}, generation {generation}: other output\n{errors}"
        );
    }
}

/// The same for a tool of the distribution with arguments.
fn tool_is_not_disturbed(test: &str, name: &str, args: &[&Path]) {
    if let Some(program) = tool(test, name) {
        is_not_disturbed(test, &program, |program| {
            Launch::under_libckpt(program).args(args)
        });
    }
}

#[test]
fn python3() {
    tool_is_not_disturbed("python3", "python3", &[&workload("compute.py")]);
}

#[test]
fn python3_with_300_megabytes_of_small_objects() {
    tool_is_not_disturbed("python3-objects", "python3", &[&workload("objects.py")]);
}

#[test]
fn perl() {
    tool_is_not_disturbed("perl", "perl", &[&workload("compute.pl")]);
}

#[test]
fn bash() {
    tool_is_not_disturbed("bash", "bash", &[&workload("compute.sh")]);
}

#[test]
fn lua() {
    tool_is_not_disturbed("lua", "lua5.4", &[&workload("compute.lua")]);
}

#[test]
fn gawk() {
    tool_is_not_disturbed("gawk", "gawk", &["-f".as_ref(), &workload("compute.awk")]);
}

#[test]
fn bc() {
    tool_is_not_disturbed("bc", "bc", &["-l".as_ref(), &workload("digits.bc")]);
}

#[test]
fn sha256sum() {
    let place = Place::new("sha256sum-file");
    let file = File::create(place.file("large")).expect("a place is writable");
    file.set_len(1 << 30).expect("a file may be large");
    for at in (0..1 << 30).step_by(10_000_019) {
        file.write_all_at(format!("at {at}").as_bytes(), at)
            .expect("a place is writable");
    }
    tool_is_not_disturbed("sha256sum", "sha256sum", &[&place.file("large")]);
}

#[test]
fn cpp() {
    let program = Program::workload("churn.cc");
    is_not_disturbed("cpp", program.path(), |program| {
        Launch::under_libckpt(program)
    });
}

/// It writes its file in place, so it is ended at each checkpoint: nothing changes until it is restored.
#[test]
fn sqlite3_in_a_transaction() {
    let Some(program) = tool("sqlite3", "sqlite3") else {
        return;
    };
    let launch = |program: &Path| {
        let launch = Launch::under_libckpt(program)
            .arg("data.db")
            .stdin(workload("transaction.sql"));
        launch.env("CKPT_AFTER", "exit")
    };
    let (expected, duration) = undisturbed("sqlite3", launch, &program);
    let mut random = Random::new("sqlite3");
    for round in 1..=rounds() {
        let place = Place::new("sqlite3");
        let mut process = launch(&program).start(&place);
        let mut status = None;
        for _ in 0..GENERATIONS {
            sleep(random.shorter_than(duration / GENERATIONS));
            if process.armed_unless_ended() {
                process.signal(CHECKPOINT_SIGNAL);
            }
            let end = process.wait();
            if end.code() != Some(85) {
                status = Some(end);
                break;
            }
            process = Launch::restorer(["myckpt"]).start(&place);
        }
        let status = status.unwrap_or_else(|| process.wait());
        let errors = place.text("err") + &place.text("restorer.err");
        assert!(status.success(), "round {round}: {status}\n{errors}");
        assert!(
            place.bytes("out") == expected,
            "round {round}: other output\n{errors}"
        );
        let check = Launch::plain(&program).args(["data.db", "PRAGMA integrity_check"]);
        let check_place = Place::new("sqlite3-check");
        fs::copy(place.file("data.db"), check_place.file("data.db")).expect("a place is writable");
        assert!(check.start(&check_place).wait().success());
        assert_eq!(check_place.text("out"), "ok\n");
    }
}
