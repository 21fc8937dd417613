//! CRIU beside ours, with the same program, on the same disk, in turns. It needs root, and `make bench-criu`, which gets it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use ckpt_tests::{Place, Process, Program, Restart, real_time, until};

use crate::beats::{end_of_stop, longest_stop, until_often};
use crate::figures::{Table, median, milliseconds, ms, size, with_range};
use crate::yardstick::warm_memory_up;
use crate::{place, speed};

/// A directory with a Debian in it that has CRIU.
const ROOT: &str = "CKPT_BENCH_CRIU";

const ROUNDS: usize = 5;

/// Milliseconds.
#[derive(Clone, Copy)]
struct Times {
    stood_still: f64,
    checkpoint: f64,
    restart: f64,
}

pub fn measure(sizes: &[u64]) {
    let Some(root) = std::env::var_os(ROOT).map(PathBuf::from) else {
        return;
    };
    let program = Program::workload("beats.c");
    let mut table = Table::new([
        "random data",
        "stood still",
        "CRIU",
        "ours / CRIU",
        "checkpoint",
        "CRIU",
        "ours / CRIU",
        "restart",
        "CRIU",
        "ours / CRIU",
    ]);
    for &mebibytes in sizes {
        let rounds: Vec<(Times, Times)> = (0..ROUNDS)
            .map(|_| {
                (
                    ours(&program, mebibytes),
                    theirs(&program, mebibytes, &root),
                )
            })
            .collect();
        let three = |of: fn(&Times) -> f64| {
            [
                ms(median(rounds.iter().map(|(ours, _)| of(ours)))),
                ms(median(rounds.iter().map(|(_, theirs)| of(theirs)))),
                with_range(rounds.iter().map(|(ours, theirs)| of(ours) / of(theirs))),
            ]
        };
        let [a, b, c] = three(|times| times.stood_still);
        let [d, e, f] = three(|times| times.checkpoint);
        let [g, h, i] = three(|times| times.restart);
        table.row([size(mebibytes), a, b, c, d, e, f, g, h, i]);
    }
    table.print("Beside CRIU, neither of them syncing to disk within the time that the program stands still");
}

fn ours(program: &Program, mebibytes: u64) -> Times {
    let place = place("ours");
    let mut process = program.launch().arg(mebibytes.to_string()).start(&place);
    process.wait_until_ready();
    process.wait_until_armed();
    speed::settle(&place);
    let signal = real_time();
    let checkpoint = speed::checkpoint(&process, &place);
    let stood_still = until("the program to go on", || longest_stop(&place, signal));
    process.kill();
    speed::settle(&place);
    warm_memory_up(mebibytes << 20);
    Times {
        stood_still,
        checkpoint,
        restart: speed::restart_time(&place, Restart::Eager),
    }
}

fn theirs(program: &Program, mebibytes: u64, root: &Path) -> Times {
    let place = place("theirs");
    let launch = program.launch().arg(mebibytes.to_string());
    let mut process = launch.without_libckpt().start(&place);
    process.wait_until_ready();
    speed::settle(&place);
    let signal = real_time();
    let began = Instant::now();
    dump(&process, &place, root, &["--leave-running"]);
    let checkpoint = milliseconds(began.elapsed());
    let stood_still = until("the program to go on", || longest_stop(&place, signal));

    // Once more, since the one that was left running has written to its files meanwhile, which CRIU refuses.
    dump(&process, &place, root, &[]);
    let ended = process.wait();
    assert!(!ended.success(), "CRIU ends what it dumps");
    speed::settle(&place);
    warm_memory_up(mebibytes << 20);
    let start = real_time();
    let pid_file = place.file("pid");
    let pid_file = pid_file.to_str().expect("a place has a plain name");
    criu(
        &place,
        root,
        &["restore", "--restore-detached", "--pidfile", pid_file],
    );
    let restart = until_often("the program to go on", || end_of_stop(&place, start));
    let pid = place
        .text("pid")
        .trim()
        .parse()
        .expect("CRIU writes the pid");
    // SAFETY: the process was made for us just now.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    Times {
        stood_still,
        checkpoint,
        restart,
    }
}

fn dump(process: &Process, place: &Place, root: &Path, options: &[&str]) {
    let pid = process.pid().to_string();
    criu(
        place,
        root,
        &[&["dump", "--tree", pid.as_str()], options].concat(),
    );
}

/// Runs the CRIU of another release with the libraries of that.
fn criu(place: &Place, root: &Path, arguments: &[&str]) {
    let images = place.file("images");
    std::fs::create_dir_all(&images).expect("a place is writable");
    let status = Command::new(root.join("lib64/ld-linux-x86-64.so.2"))
        .arg("--library-path")
        .arg(root.join("usr/lib/x86_64-linux-gnu"))
        .arg(root.join("usr/sbin/criu"))
        .args(arguments)
        .args(["--shell-job", "--images-dir"])
        .arg(&images)
        .current_dir(place.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("CRIU can be started");
    assert!(status.success(), "criu {arguments:?}: {status}");
}
