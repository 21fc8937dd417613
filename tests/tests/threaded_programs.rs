//! Programs with many threads, most of them of the distribution, checkpointed at random moments of their work, killed, and
//! restored, five times in a row: their output is the same to the byte as that of an undisturbed run.
//!
//! `CKPT_TEST_ROUNDS` says how often each is run (3), `CKPT_TEST_GENERATIONS` how often it is restored in each round (5),
//! `CKPT_TEST_SEED` repeats the moments of an earlier run.

use std::fmt::Write;
use std::path::PathBuf;

use ckpt_tests::{Launch, Place, Program, Trial, distributed, target_dir, tool, workload};

#[test]
fn python3_with_a_thread_pool() {
    let Some(program) = tool("python3-pool", "python3") else {
        return;
    };
    let launch = || Launch::under_libckpt(&program).arg(workload("pool.py"));
    Trial::new("python3-pool", launch).threads(7).run();
}

/// One with its own implementation of BLAS would have no threads.
#[test]
fn numpy_on_openblas() {
    let numpy = "/usr/lib/python3/dist-packages/numpy/__init__.py";
    let openblas = "/usr/lib/x86_64-linux-gnu/openblas-pthread/libblas.so.3";
    let (Some(program), Some(_), Some(_)) = (
        tool("numpy", "python3"),
        distributed("numpy", numpy),
        distributed("numpy", openblas),
    ) else {
        return;
    };
    let launch = || {
        Launch::under_libckpt(&program)
            .arg(workload("blas.py"))
            .env("OPENBLAS_NUM_THREADS", "2")
    };
    Trial::new("numpy", launch).threads(2).run();
}

#[test]
fn node() {
    let Some(program) = tool("node", "node") else {
        return;
    };
    let launch = || Launch::under_libckpt(&program).arg(workload("workers.js"));
    Trial::new("node", launch).threads(12).run();
}

/// A signal that HotSpot does not use, unlike SIGUSR2.
const UNUSED_BY_JAVA: i32 = 40;

/// Java with a collector that has threads of its own, and without a shared file that it writes all the time
/// (`/tmp/hsperfdata_USER/PID`, which other instances remove once the process has ended). It reads classes from a directory:
/// what it uses to compile them itself holds a socket.
fn java_program(test: &str) -> Option<(Place, impl Fn() -> Launch + use<>)> {
    let (program, compiler) = (tool(test, "java")?, tool(test, "javac")?);
    let place = Place::new(&format!("{test}-classes"));
    let compiled = Launch::plain(compiler)
        .args(["-d", "."])
        .arg(workload("Threads.java"))
        .start(&place)
        .wait();
    assert!(compiled.success(), "{}", place.text("err"));
    let classes = place.path().to_owned();
    let launch = move || {
        Launch::under_libckpt(&program)
            .args(["-XX:+UseG1GC", "-XX:+PerfDisableSharedMem", "-Xmx96m"])
            .arg("-cp")
            .arg(&classes)
            .arg("Threads")
    };
    Some((place, launch))
}

/// HotSpot has a handler for SIGUSR2.
#[test]
fn java() {
    let Some((_classes, launch)) = java_program("java") else {
        return;
    };
    Trial::new("java", launch).threads(16).run();
}

#[test]
fn java_with_another_signal_for_checkpoints() {
    let Some((_classes, launch)) = java_program("java-signal") else {
        return;
    };
    let launch = || launch().env("CKPT_SIGNAL", UNUSED_BY_JAVA.to_string());
    Trial::new("java-signal", launch)
        .threads(16)
        .signal(UNUSED_BY_JAVA)
        .run();
}

#[test]
fn java_with_another_signal_for_itself() {
    let Some((_classes, launch)) = java_program("java-sr") else {
        return;
    };
    let launch = || launch().env("_JAVA_SR_SIGNUM", UNUSED_BY_JAVA.to_string());
    Trial::new("java-sr", launch).threads(16).run();
}

/// Its threads send each other SIGUSR2, to collect garbage.
#[test]
fn sbcl() {
    let Some(program) = tool("sbcl", "sbcl") else {
        return;
    };
    let launch = || {
        Launch::under_libckpt(&program)
            .arg("--script")
            .arg(workload("threads.lisp"))
    };
    Trial::new("sbcl", launch).threads(4).run();
}

/// Something to sort and to compress: numbers that seem random, as text.
fn numbers(place: &Place, lines: u32) -> PathBuf {
    let mut text = String::new();
    let mut state = 1_u64;
    for line in 0..lines {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let (whole, fraction) = (state >> 44, state >> 20 & 0xffff);
        writeln!(text, "{whole}.{fraction} {line:x}").expect("a string has room");
    }
    place.write("numbers", text);
    place.file("numbers")
}

/// A tool that reads such numbers, after other arguments.
fn is_not_disturbed_reading(test: &str, lines: u32, command: &[&str], threads: u32) {
    let Some(program) = tool(test, command[0]) else {
        return;
    };
    let place = Place::new(&format!("{test}-numbers"));
    let numbers = numbers(&place, lines);
    let launch = || {
        Launch::under_libckpt(&program)
            .args(&command[1..])
            .arg(&numbers)
    };
    Trial::new(test, launch).threads(threads).run();
}

#[test]
fn xz() {
    let command = ["xz", "-T2", "-2", "--block-size=512KiB", "--stdout"];
    is_not_disturbed_reading("xz", 700_000, &command, 3);
}

#[test]
fn zstd() {
    let command = ["zstd", "-q", "-T2", "-12", "-B1MiB", "--stdout"];
    is_not_disturbed_reading("zstd", 700_000, &command, 4);
}

/// With memory enough for all of the lines, so that there are no temporary files.
#[test]
fn sort() {
    let command = ["sort", "--parallel=2", "-S", "300M", "-g"];
    is_not_disturbed_reading("sort", 500_000, &command, 2);
}

fn program_is_not_disturbed(test: &str, source: &str, threads: u32) {
    let program = Program::workload(source);
    Trial::new(test, || program.launch()).threads(threads).run();
}

#[test]
fn openmp() {
    program_is_not_disturbed("openmp", "openmp.c", 4);
}

#[test]
fn cpp_with_exceptions_in_flight() {
    program_is_not_disturbed("cpp-threads", "threads.cc", 5);
}

fn rust_is_not_disturbed(test: &str, argument: &str, threads: u32) {
    let program = target_dir().join("rust-threads");
    assert!(program.exists(), "it is not built; run `make test`");
    let launch = || Launch::under_libckpt(&program).arg(argument);
    Trial::new(test, launch).threads(threads).run();
}

#[test]
fn rust_on_rayon() {
    rust_is_not_disturbed("rayon", "rayon", 5);
}

#[test]
fn rust_on_tokio() {
    rust_is_not_disturbed("tokio", "tokio", 6);
}

#[test]
fn sqlite3_from_several_threads() {
    if distributed("sqlite3-threads", "/usr/include/sqlite3.h").is_none() {
        return;
    }
    let program = Program::workload("sqlite_threads.c");
    let ok = |place: &Place| assert!(place.text("out").contains("\nok\n"));
    Trial::new("sqlite3-threads", || program.launch())
        .threads(2)
        .ends_at_checkpoints()
        .afterwards(ok)
        .run();
}
