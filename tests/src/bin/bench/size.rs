//! How large an image is, beside the memory that its program uses.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Instant;

use ckpt_tests::{CHECKPOINT_SIGNAL, Launch, Process, Program, until};

use crate::figures::{Table, mebibytes, milliseconds, ms};
use crate::place;

/// Python that says it is ready as `programs/survive.h` does, and then waits.
const IDLE: &str = "import os, time\nos.mkdir('ready')\nwhile True: time.sleep(1000)";
const OBJECTS: &str = "objects = {n: (str(n), [n, n + 0.5]) for n in range(1_000_000)}\n";

pub fn measure() {
    let python = |code: String| {
        Launch::under_libckpt("/usr/bin/python3")
            .arg("-c")
            .arg(code)
    };
    let beats = Program::workload("beats.c").launch().arg("64");
    let programs = [
        ("C program, 64 MiB of random data", beats),
        ("`python3`, idle", python(IDLE.to_owned())),
        (
            "`python3`, 300 MB of small objects",
            python(OBJECTS.to_owned() + IDLE),
        ),
        (
            "16 TiB reserved, 16 pages used",
            Program::compile("reservation.c").launch(),
        ),
    ];
    let mut table = Table::new([
        "program",
        "in use, not from files",
        "in use, from files",
        "image on disk",
        "image / in use",
        "checkpoint",
    ]);
    for (name, launch) in programs {
        let place = place("size");
        let mut process = launch.start(&place);
        process.wait_until_ready();
        process.wait_until_armed();
        let own = resident(&process, "RssAnon:") + resident(&process, "RssShmem:");
        let of_files = resident(&process, "RssFile:");
        let image = place.file("myckpt");
        let start = Instant::now();
        process.signal(CHECKPOINT_SIGNAL);
        until("the image", || image.exists().then_some(()));
        let time = milliseconds(start.elapsed());
        let on_disk = fs::metadata(&image).expect("there is an image").blocks() * 512;
        table.row([
            name.to_owned(),
            mebibytes(own),
            mebibytes(of_files),
            mebibytes(on_disk),
            format!("{} %", on_disk * 100 / (own + of_files)),
            ms(time),
        ]);
    }
    table.print("Size");
}

/// Bytes of one kind that the process has in memory.
fn resident(process: &Process, kind: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid()));
    let status = status.expect("the process lives");
    let line = status.lines().find_map(|line| line.strip_prefix(kind));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kibibytes.expect("the kernel says how much is resident") * 1024
}
