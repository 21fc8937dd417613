//! How long checkpoint and restart take, beside `dd` of the same bytes to and from the same place.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use ckpt_tests::{CHECKPOINT_SIGNAL, Launch, Place, Process, Program, Restart, real_time, until};

use crate::beats::{end_of_stop, longest_stop, until_often};
use crate::figures::{Table, median, milliseconds, ms, size, with_range};
use crate::line::Line;
use crate::yardstick::{read_into_fresh_memory, warm_memory_up};
use crate::{available, place};

/// Milliseconds.
struct Round {
    /// From the signal until the image has its name.
    checkpoint: f64,
    /// The pause that libckpt says it made.
    said: f64,
    /// The time for which the program stood still.
    stood_still: f64,
    dd_synced: f64,
    dd_unsynced: f64,
    /// From the exec of the restorer until the program goes on.
    restart: f64,
    /// Likewise with `--lazy`.
    lazy_restart: f64,
    dd_read: f64,
    /// All bytes of the image into fresh memory.
    read: f64,
}

pub fn measure(sizes: &[u64]) {
    let mut checkpoints = Table::new([
        "random data",
        "checkpoint",
        "pause",
        "program stood still",
        "`dd conv=fsync`",
        "checkpoint / dd",
        "`dd` unsynced",
        "checkpoint / dd",
    ]);
    let mut restarts = Table::new([
        "random data",
        "restart --lazy",
        "restart",
        "reading into fresh memory",
        "restart / reading",
        "`dd of=/dev/null`",
        "restart / dd",
        "`dd` unsynced",
        "restart / dd",
    ]);
    let program = Program::workload("beats.c");
    for &mebibytes in sizes {
        if available() < 3 * mebibytes {
            println!("{}: left out, too little memory\n", size(mebibytes));
            continue;
        }
        let rounds = match mebibytes {
            ..128 => 9,
            128..1024 => 5,
            _ => 3,
        };
        let rounds: Vec<Round> = (0..rounds).map(|_| round(&program, mebibytes)).collect();
        let time = |of: fn(&Round) -> f64| ms(median(rounds.iter().map(of)));
        let ratio = |of: fn(&Round) -> f64| with_range(rounds.iter().map(of));
        checkpoints.row([
            size(mebibytes),
            time(|round| round.checkpoint),
            time(|round| round.said),
            time(|round| round.stood_still),
            time(|round| round.dd_synced),
            ratio(|round| round.checkpoint / round.dd_synced),
            time(|round| round.dd_unsynced),
            ratio(|round| round.checkpoint / round.dd_unsynced),
        ]);
        restarts.row([
            size(mebibytes),
            time(|round| round.lazy_restart),
            time(|round| round.restart),
            time(|round| round.read),
            ratio(|round| round.restart / round.read),
            time(|round| round.dd_read),
            ratio(|round| round.restart / round.dd_read),
            time(|round| round.dd_unsynced),
            ratio(|round| round.restart / round.dd_unsynced),
        ]);
    }
    checkpoints.print("Checkpoint");
    restarts.print("Restart, the image in the page cache");
}

fn round(program: &Program, mebibytes: u64) -> Round {
    let place = place("speed");
    let mut process = program.launch().arg(mebibytes.to_string()).start(&place);
    process.wait_until_ready();
    process.wait_until_armed();
    settle(&place);
    let signal = real_time();
    let checkpoint = checkpoint(&process, &place);
    let said = until("the line of libckpt", || Line::of(&place)).pause;
    let stood_still = until("the program to go on", || longest_stop(&place, signal));
    process.kill();

    let image = place.file("myckpt");
    let copy = place.file("copy");
    let dd_synced = dd(&place, &image, &copy, Some("conv=fsync"));
    let dd_unsynced = dd(&place, &image, &copy, None);
    let dd_read = dd(&place, &image, Path::new("/dev/null"), None);

    settle(&place);
    warm_memory_up(mebibytes << 20);
    let restart = restart_time_from_exec(&place, Restart::Eager);
    warm_memory_up(mebibytes << 20);
    let read = read_into_fresh_memory(&image);
    let lazy_restart = restart_time_from_exec(&place, Restart::Lazy);
    Round {
        checkpoint,
        said,
        stood_still,
        dd_synced,
        dd_unsynced,
        restart,
        lazy_restart,
        dd_read,
        read,
    }
}

/// Milliseconds from before the fork that becomes the restorer until the program goes on.
pub fn restart_time(place: &Place, how: Restart) -> f64 {
    let start = real_time();
    let launch = Launch::restorer(how.options()).arg("myckpt");
    let _restored = launch.start(place);
    until_often("the program to go on", || end_of_stop(place, start))
}

/// Likewise from the exec.
fn restart_time_from_exec(place: &Place, how: Restart) -> f64 {
    static SHARED: OnceLock<&AtomicU64> = OnceLock::new();
    let exec_time = *SHARED.get_or_init(|| {
        let (size, protection) = (size_of::<AtomicU64>(), libc::PROT_READ | libc::PROT_WRITE);
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
        // SAFETY: the mapping is new, and stays; zeros are a number.
        unsafe {
            let page = libc::mmap(ptr::null_mut(), size, protection, flags, -1, 0);
            assert!(page != libc::MAP_FAILED, "there is memory for a page");
            &*page.cast()
        }
    });
    let launch = Launch::restorer(how.options()).arg("myckpt");
    let _restored = launch.noting_exec_time(exec_time).start(place);
    let start = exec_time.load(Ordering::Relaxed);
    until_often("the program to go on", || end_of_stop(place, start))
}

/// Milliseconds from the signal until the image has its name.
pub fn checkpoint(process: &Process, place: &Place) -> f64 {
    let image = place.file("myckpt");
    let start = Instant::now();
    process.signal(CHECKPOINT_SIGNAL);
    until_often("the image", || image.exists().then_some(()));
    milliseconds(start.elapsed())
}

/// Milliseconds that `dd` takes; what it writes is removed again.
fn dd(place: &Place, from: &Path, to: &Path, option: Option<&str>) -> f64 {
    settle(place);
    let mut command = Command::new("dd");
    command
        .arg(format!("if={}", from.display()))
        .arg(format!("of={}", to.display()))
        .arg("bs=1M")
        .args(option)
        .stderr(Stdio::null());
    let start = Instant::now();
    let status = command.status().expect("dd can be started");
    let time = milliseconds(start.elapsed());
    assert!(status.success(), "dd to {} fails", to.display());
    if to.starts_with(place.path()) {
        fs::remove_file(to).expect("dd has made the file");
    }
    time
}

/// Lets the disk finish what came before, so that it is not counted in what comes next.
pub fn settle(place: &Place) {
    let status = Command::new("sync").arg("-f").arg(place.path()).status();
    assert!(status.is_ok_and(|status| status.success()), "sync fails");
}
