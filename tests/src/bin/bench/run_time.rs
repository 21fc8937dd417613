//! What the preload costs a program that runs and gets no signal.

use std::path::Path;
use std::process::{Command, Stdio};

use ckpt_tests::libckpt;

use crate::figures::Table;

const PAIRS: usize = 10;
const PROGRAM: [&str; 2] = [
    "/usr/bin/python3",
    concat!(env!("CARGO_MANIFEST_DIR"), "/workloads/compute.py"),
];

pub fn measure() {
    // Instructions do not depend on what else the machine does; virtual machines often do not count them.
    let (what, cost): (_, fn(bool) -> Option<f64>) = if instructions(false).is_some() {
        ("10⁹ instructions", instructions)
    } else {
        ("user time, s", user_time)
    };
    let pairs: Vec<(f64, f64)> = (0..PAIRS)
        .map(|_| cost(false).zip(cost(true)).expect("it was measured before"))
        .collect();
    // What the machine does besides can only add to a figure, so the smallest is the best one.
    let plain = pairs.iter().map(|pair| pair.0).fold(f64::MAX, f64::min);
    let preloaded = pairs.iter().map(|pair| pair.1).fold(f64::MAX, f64::min);
    let mut table = Table::new([
        "`python3 compute.py`, least of 10 runs",
        "plain",
        "preloaded",
        "preloaded / plain",
    ]);
    table.row([
        what.to_owned(),
        format!("{plain:.3}"),
        format!("{preloaded:.3}"),
        format!("{:.3}", preloaded / plain),
    ]);
    table.print("Run time without a checkpoint");
}

/// `perf` or another program that measures, with the program and its surroundings as arguments.
fn measured_by(measure: &mut Command, preload: bool) -> &mut Command {
    // An environment of another size shifts the stack, which alone may cost more than what is measured; so the plain
    // program gets a variable of the same length that nobody reads.
    let name = if preload { "LD_PRELOAD" } else { "NO_PRELOAD" };
    let variable = format!("{name}={}", libckpt().display());
    // Hashes, and with them the work, are random otherwise.
    measure
        .args(["/usr/bin/env", "PYTHONHASHSEED=0"])
        .arg(variable)
        .args(PROGRAM)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
}

/// Thousands of millions of instructions; nothing if they cannot be counted here.
fn instructions(preload: bool) -> Option<f64> {
    let perf = Path::new("/usr/bin/perf");
    if !perf.exists() {
        return None;
    }
    let mut perf = Command::new(perf);
    perf.args(["stat", "-x;", "-e", "instructions:u", "--"]);
    let output = measured_by(&mut perf, preload).output().ok()?;
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().find(|line| line.contains("instructions"))?;
    let count: f64 = line.split(';').next()?.parse().ok()?;
    Some(count / 1e9)
}

/// Seconds of user time.
fn user_time(preload: bool) -> Option<f64> {
    let before = user_time_of_children();
    let mut nice = Command::new("/usr/bin/nice");
    let status = measured_by(nice.arg("-n0"), preload).status();
    assert!(status.is_ok_and(|status| status.success()), "python3 fails");
    Some(user_time_of_children() - before)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a time is shown with few digits"
)]
fn user_time_of_children() -> f64 {
    // SAFETY: all zeros are a valid rusage.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is a valid rusage for the time of the call.
    unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage) };
    usage.ru_utime.tv_sec as f64 + usage.ru_utime.tv_usec as f64 / 1e6
}
