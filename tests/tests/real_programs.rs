//! Programs of the distribution that have one thread, checkpointed at random moments of their work, killed, and restored,
//! five times in a row: their output is the same to the byte as that of an undisturbed run.
//!
//! `CKPT_TEST_ROUNDS` says how often each is run (3), `CKPT_TEST_GENERATIONS` how often it is restored in each round (5),
//! `CKPT_TEST_SEED` repeats the moments of an earlier run.

use std::fmt::Write;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use ckpt_tests::{Launch, Place, Program, Trial, tool, workload};

/// A tool of the distribution with arguments.
fn tool_is_not_disturbed(test: &str, name: &str, args: &[&Path]) {
    if let Some(program) = tool(test, name) {
        Trial::new(test, || Launch::under_libckpt(&program).args(args)).run();
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
fn bash_with_a_here_document() {
    if let Some(bash) = tool("here-document", "bash") {
        let launch = || Launch::under_libckpt(&bash).arg(workload("here_document.sh"));
        // A program that went on from a checkpoint in which it writes its temporary file would delete that.
        Trial::new("here-document", launch)
            .ends_at_checkpoints()
            .run();
    }
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
    Trial::new("cpp", || program.launch()).run();
}

#[test]
fn sqlite3_in_a_transaction() {
    let Some(program) = tool("sqlite3", "sqlite3") else {
        return;
    };
    let launch = || {
        Launch::under_libckpt(&program)
            .arg("data.db")
            .stdin(workload("transaction.sql"))
    };
    let check = |place: &Place| {
        let check = Launch::plain(&program).args(["data.db", "PRAGMA integrity_check"]);
        let check_place = Place::new("sqlite3-check");
        fs::copy(place.file("data.db"), check_place.file("data.db")).expect("a place is writable");
        assert!(check.start(&check_place).wait().success());
        assert_eq!(check_place.text("out"), "ok\n");
    };
    Trial::new("sqlite3", launch)
        .ends_at_checkpoints()
        .afterwards(check)
        .run();
}

#[test]
fn python3_with_sqlite_in_wal_mode() {
    let Some(program) = tool("wal", "python3") else {
        return;
    };
    let launch = || Launch::under_libckpt(&program).arg(workload("wal.py"));
    Trial::new("wal", launch).ends_at_checkpoints().run();
}

/// A place with a file of `lines` lines, none like another, in no order.
fn place_with_lines(test: &str, lines: u64) -> Place {
    let place = Place::new(test);
    let line = |number: u64| {
        let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        format!("{mixed:016x} {number}\n")
    };
    place.write("lines", (0..lines).map(line).collect::<String>());
    place
}

/// The temporary files are opened for reading and writing.
#[test]
fn sort_with_temporary_files() {
    let Some(program) = tool("sort-temporary", "sort") else {
        return;
    };
    let place = place_with_lines("sort-file", 1_000_000);
    let launch = || {
        Launch::under_libckpt(&program)
            .args([
                "--parallel=1",
                "--buffer-size=2M",
                "--temporary-directory=.",
            ])
            .arg(place.file("lines"))
    };
    Trial::new("sort-temporary", launch)
        .ends_at_checkpoints()
        .run();
}

#[test]
fn gzip() {
    let place = place_with_lines("gzip-file", 700_000);
    tool_is_not_disturbed(
        "gzip",
        "gzip",
        &["-9".as_ref(), "--stdout".as_ref(), &place.file("lines")],
    );
}

#[test]
fn tar() {
    let place = Place::new("tar-tree");
    for number in 0..3000 {
        let directory = place.file(&format!("tree/{}", number % 50));
        fs::create_dir_all(&directory).expect("a place is writable");
        let content = format!("{number}\n").repeat(5000);
        fs::write(directory.join(number.to_string()), content).expect("a place is writable");
    }
    let tree = place.file("tree");
    let args = ["--create", "--sort=name", "--file=-", "--directory"].map(Path::new);
    tool_is_not_disturbed(
        "tar",
        "tar",
        &[args[0], args[1], args[2], args[3], &tree, ".".as_ref()],
    );
}

#[test]
fn openssl() {
    let place = place_with_lines("openssl-file", 3_000_000);
    let file = place.file("lines");
    let args = [
        "enc",
        "-aes-256-cbc",
        "-pbkdf2",
        "-iter",
        "10000",
        "-nosalt",
    ];
    let args = args.into_iter().chain(["-pass", "pass:secret", "-in"]);
    let args: Vec<&Path> = args.map(Path::new).chain([file.as_path()]).collect();
    tool_is_not_disturbed("openssl", "openssl", &args);
}

/// A C file with as many functions, each different from the others.
fn write_functions(place: &Place, count: u32) {
    let mut text = String::new();
    for index in 0..count {
        let _ = writeln!(
            text,
            "int f{index}(int *a, int n) {{ int s = {index}; for (int j = 0; j < n; j++) {{ if (a[j] % {} == 1) s += a[j] * \
             {index}; else s ^= a[j] << {}; a[j] = s; }} return s; }}",
            index % 7 + 2,
            index % 5
        );
    }
    place.write("large.c", text);
}

#[test]
fn python3_with_pseudo_terminals() {
    tool_is_not_disturbed("python3-pty", "python3", &[&workload("pty.py")]);
}

#[test]
fn cc1() {
    let Some(driver) = tool("cc1", "gcc") else {
        return;
    };
    // The compiler proper, which `gcc` would start.
    let answer = Command::new(driver).arg("-print-prog-name=cc1").output();
    let answer = answer.expect("gcc can be started").stdout;
    let cc1 = String::from_utf8(answer).expect("a path");
    let place = Place::new("cc1-file");
    write_functions(&place, 200);
    Trial::new("cc1", || {
        Launch::under_libckpt(cc1.trim())
            .args(["-quiet", "-O2", "-o", "-"])
            .arg(place.file("large.c"))
    })
    .run();
}

#[test]
fn gdb() {
    let Some(gdb) = tool("gdb", "gdb") else {
        return;
    };
    let program = Program::compile("posix_timer.c");
    Trial::new("gdb", || {
        Launch::under_libckpt(&gdb)
            .args(["-nx", "-q", "-batch", "-x"])
            .arg(workload("disassemble.py"))
            .arg(program.path())
    })
    .run();
}
