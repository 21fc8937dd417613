//! What `CKPT_COMPRESS=lz4` costs and saves, beside a plain image of the same program in the same run.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use ckpt_image::extents::MAX_PAGES;
use ckpt_image::{PAGE, container};
use ckpt_tests::{CHECKPOINT_SIGNAL, Launch, Place, Program, Restart, until};

use crate::figures::{Table, mebibytes, median, milliseconds, ms, size, with_range};
use crate::line::Line;
use crate::speed::{restart_time, settle};
use crate::yardstick::warm_memory_up;
use crate::{available, place};

/// Milliseconds, and bytes on the disk.
struct Figures {
    writing: f64,
    sync: f64,
    restart: f64,
    image: f64,
}

struct Round {
    plain: Figures,
    packed: Figures,
    /// Milliseconds that `restorer --to-core` takes.
    to_core: f64,
    /// Gigabytes per second that one processor compresses, and that it decompresses.
    one_processor: [f64; 2],
    /// The same of the reference implementation, where it is installed.
    reference: Option<[f64; 2]>,
}

/// What the memory holds, and the arguments of `beats.c` that say so.
const DATA: [(&str, &[&str]); 3] = [
    ("random", &[]),
    ("words", &["0", "2", "words"]),
    ("records", &["0", "2", "records"]),
];

pub fn measure(sizes: &[u64]) {
    let mut table = Table::new([
        "data",
        "image, plain",
        "lz4",
        "lz4 / plain",
        "writing, plain",
        "lz4",
        "lz4 / plain",
        "sync, plain",
        "lz4",
        "restart, plain",
        "lz4",
        "lz4 / plain",
        "`--to-core`",
    ]);
    let mut speeds = Table::new([
        "data",
        "compressed by one processor",
        "decompressed",
        "by `lz4 -b1`",
        "decompressed",
    ]);
    let program = Program::workload("beats.c");
    for &mebibytes_of_data in sizes {
        if available() < 4 * mebibytes_of_data {
            println!("{}: left out, too little memory\n", size(mebibytes_of_data));
            continue;
        }
        let rounds = match mebibytes_of_data {
            ..128 => 9,
            128..1024 => 5,
            _ => 3,
        };
        for (name, arguments) in DATA {
            let rounds: Vec<Round> = (0..rounds)
                .map(|_| round(&program, mebibytes_of_data, arguments))
                .collect();
            let time = |of: fn(&Round) -> f64| ms(median(rounds.iter().map(of)));
            let bytes = |of: fn(&Round) -> f64| mebibytes(median(rounds.iter().map(of)) as u64);
            let ratio = |of: fn(&Figures) -> f64| {
                with_range(
                    rounds
                        .iter()
                        .map(|round| of(&round.packed) / of(&round.plain)),
                )
            };
            let speed = |of: &dyn Fn(&Round) -> Option<f64>| {
                let speeds: Vec<f64> = rounds.iter().filter_map(of).collect();
                if speeds.is_empty() {
                    "not installed".to_owned()
                } else {
                    format!("{:.2} GB/s", median(speeds.into_iter()))
                }
            };
            speeds.row([
                format!("{}, {name}", size(mebibytes_of_data)),
                speed(&|round| Some(round.one_processor[0])),
                speed(&|round| Some(round.one_processor[1])),
                speed(&|round| round.reference.map(|reference| reference[0])),
                speed(&|round| round.reference.map(|reference| reference[1])),
            ]);
            table.row([
                format!("{}, {name}", size(mebibytes_of_data)),
                bytes(|round| round.plain.image),
                bytes(|round| round.packed.image),
                ratio(|figures| figures.image),
                time(|round| round.plain.writing),
                time(|round| round.packed.writing),
                ratio(|figures| figures.writing),
                time(|round| round.plain.sync),
                time(|round| round.packed.sync),
                time(|round| round.plain.restart),
                time(|round| round.packed.restart),
                ratio(|figures| figures.restart),
                time(|round| round.to_core),
            ]);
        }
    }
    table.print("Compressed images");
    speeds.print("Compressing and decompressing, without reading or writing");
}

fn round(program: &Program, mebibytes: u64, arguments: &[&str]) -> Round {
    let launch = |compression: &str| {
        let launch = program.launch().env("CKPT_COMPRESS", compression);
        launch.arg(mebibytes.to_string()).args(arguments)
    };
    let (place, plain) = figures(launch("none"), mebibytes);
    let image = fs::read(place.file("myckpt")).expect("the image is readable");
    let one_processor = speeds_of_one_processor(&image);
    let reference = speeds_of_reference(&place.file("myckpt"));
    drop(place);
    let (place, packed) = figures(launch("lz4"), mebibytes);
    settle(&place);
    let start = Instant::now();
    let mut restorer = Launch::restorer(["--to-core", "myckpt", "core"]).start(&place);
    let status = restorer.wait();
    let to_core = milliseconds(start.elapsed());
    assert!(status.success(), "{}", place.text("restorer.err"));
    Round {
        plain,
        packed,
        to_core,
        one_processor,
        reference,
    }
}

/// Gigabytes per second that one processor compresses and decompresses, in blocks as libckpt makes them.
fn speeds_of_one_processor(bytes: &[u8]) -> [f64; 2] {
    const BLOCK: usize = MAX_PAGES as usize * PAGE as usize;
    let mut room = vec![0; container::room(BLOCK)];
    let start = Instant::now();
    let blocks: Vec<Option<Vec<u8>>> = bytes
        .chunks(BLOCK)
        .map(|bytes| container::pack(bytes, &mut room).map(|length| room[..length].to_vec()))
        .collect();
    let compressing = start.elapsed();
    let mut block = vec![0; BLOCK];
    let start = Instant::now();
    for (packed, bytes) in blocks.iter().zip(bytes.chunks(BLOCK)) {
        let block = &mut block[..bytes.len()];
        match packed {
            Some(packed) => container::unpack(packed, block).expect("it was packed"),
            None => block.copy_from_slice(bytes),
        }
    }
    [compressing, start.elapsed()].map(|time| bytes.len() as f64 / time.as_secs_f64() / 1e9)
}

/// What `lz4 -b1` (lz4(1)) says of itself: compressing in blocks as large as ours, and decompressing. It overwrites its line as it goes.
fn speeds_of_reference(image: &Path) -> Option<[f64; 2]> {
    let output = Command::new("lz4")
        .args(["-b1", "-i1", "-B6"])
        .arg(image)
        .output()
        .ok()?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let mut speeds = said.rsplit("MB/s").skip(1).map(|before| {
        let number = before.trim_end().rsplit([' ', ',']).next()?;
        Some(number.parse::<f64>().ok()? / 1000.0)
    });
    let (decompressing, compressing) = (speeds.next()??, speeds.next()??);
    Some([compressing, decompressing])
}

/// Takes a checkpoint of a program with so much memory, and restores it.
fn figures(launch: Launch, mebibytes: u64) -> (Place, Figures) {
    let place = place("compress");
    let mut process = launch.start(&place);
    process.wait_until_ready();
    process.wait_until_armed();
    settle(&place);
    process.signal(CHECKPOINT_SIGNAL);
    let line = until("the line of libckpt", || Line::of(&place));
    process.kill();
    let image = fs::metadata(place.file("myckpt")).expect("there is an image");
    settle(&place);
    warm_memory_up(mebibytes << 20);
    let restart = restart_time(&place, Restart::Eager);
    let figures = Figures {
        writing: line.writing,
        sync: line.sync,
        restart,
        image: (image.blocks() * 512) as f64,
    };
    (place, figures)
}
