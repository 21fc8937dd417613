//! In another boot, the clocks that count from a boot go on where they were, and whoever waits for a time of theirs waits until
//! then. Another boot is a time namespace here.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use ckpt_tests::{Launch, Place, Program, has_other_clocks, not_run, target_dir, tool, workload};

/// By how many seconds the clocks of each generation are ahead of the machine's; `None` is the machine itself.
fn generations() -> [Option<i64>; 5] {
    let uptime = fs::read_to_string("/proc/uptime").expect("/proc is mounted");
    let uptime: f64 = uptime
        .split(' ')
        .next()
        .and_then(|seconds| seconds.parse().ok())
        .expect("a number");
    let back = -(uptime / 2.0) as i64;
    [Some(1_000_000), Some(back), None, None, Some(2_000_000)]
}

/// Restores a program again and again with other clocks, and lets it wait in each generation.
fn goes_on(test: &str, launch: Launch, restorer_options: &[&str]) {
    if !has_other_clocks() {
        return not_run(test, "this machine has no time namespaces for us");
    }
    let place = Place::new(test);
    let mut process = launch.start(&place);
    process.wait_until_ready();
    for offset in generations() {
        // Not to synchronise: some of its waits begin and end in each boot, and some do not.
        sleep(Duration::from_millis(1300));
        process.checkpoint();
        process.kill();
        let mut launch = Launch::restorer(restorer_options).args(["--", "myckpt"]);
        if let Some(seconds) = offset {
            launch = launch.clock_offset(seconds);
        }
        process = launch.start(&place);
        process.wait_for_a_sign_of_life();
    }
    sleep(Duration::from_millis(1300));
    place.release();
    let status = process.wait();
    let (out, err) = (place.text("out"), place.text("err"));
    assert_eq!(status.code(), Some(42), "{status}\n{out}{err}");
}

#[test]
fn deadlines_of_c_and_cpp_programs_are_kept_in_another_boot() {
    let program = Program::workload("deadlines.cc");
    goes_on("deadlines", Launch::under_libckpt(program.path()), &[]);
}

#[test]
fn deadlines_are_kept_in_another_boot_of_another_kernel() {
    let program = Program::workload("deadlines.cc");
    let launch = Launch::under_libckpt(program.path());
    goes_on("deadlines-foreign", launch, &["--foreign-vdso"]);
}

#[test]
fn deadlines_of_python3_are_kept_in_another_boot() {
    if let Some(program) = tool("deadlines-python3", "python3") {
        let launch = Launch::under_libckpt(program).arg(workload("deadlines.py"));
        goes_on("deadlines-python3", launch, &[]);
    }
}

#[test]
fn deadlines_of_rust_programs_are_kept_in_another_boot() {
    let program = target_dir().join("rust-threads");
    assert!(program.exists(), "it is not built; run `make test`");
    let launch = Launch::under_libckpt(program).arg("deadlines");
    goes_on("deadlines-rust", launch, &[]);
}
