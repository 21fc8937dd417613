//! How fast an image is written, beside one large `write` of as many bytes, random ones, to the same place.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use ckpt_tests::{CHECKPOINT_SIGNAL, Place, Program, until};

use crate::figures::{Table, median, milliseconds, ms, size, with_range};
use crate::line::Line;
use crate::speed::settle;
use crate::{available, place};

/// Memory as a file system.
const TMPFS: &str = "/dev/shm";

/// Milliseconds.
struct Round {
    image: Times,
    plain: Times,
}

#[derive(Clone, Copy)]
struct Times {
    writing: f64,
    sync: f64,
}

pub fn measure(sizes: &[u64]) {
    let mut table = Table::new([
        "random data",
        "to",
        "image",
        "one large `write`",
        "speed of the image / of `write`",
        "sync of the image",
        "sync of `write`",
    ]);
    let program = Program::workload("still.c");
    for &mebibytes in sizes {
        if available() < 5 * mebibytes {
            println!("{}: left out, too little memory\n", size(mebibytes));
            continue;
        }
        // Libraries and the like come to what the program has filled.
        let (_, length) = image(&program, &place("length"), mebibytes, &[]);
        let bytes = random_bytes(length);
        let rounds = match mebibytes {
            ..128 => 11,
            128..1024 => 9,
            _ => 5,
        };
        for to in ["disk", TMPFS] {
            let place = || match to {
                TMPFS => Place::below(Path::new(TMPFS), "bench-writing"),
                _ => place("writing"),
            };
            let rounds: Vec<Round> = (0..rounds)
                .map(|_| round(&program, &place(), mebibytes, &bytes))
                .collect();
            let time = |of: fn(&Round) -> f64| ms(median(rounds.iter().map(of)));
            table.row([
                size(mebibytes),
                to.to_owned(),
                time(|round| round.image.writing),
                time(|round| round.plain.writing),
                with_range(
                    rounds
                        .iter()
                        .map(|round| round.plain.writing / round.image.writing),
                ),
                time(|round| round.image.sync),
                time(|round| round.plain.sync),
            ]);
        }
    }
    table.print("Writing");
}

fn round(program: &Program, place: &Place, mebibytes: u64, bytes: &[u8]) -> Round {
    // Whoever comes second may find the file system in another state, so the plain one comes before and after. Each follows
    // one that is not counted: to a virtual machine, memory that was free for long is not there, and that takes longer than
    // writing to it.
    plain(place, bytes);
    let before = plain(place, bytes);
    let (image, _) = image(program, place, mebibytes, bytes);
    let after = plain(place, bytes);
    let mean = |of: fn(Times) -> f64| f64::midpoint(of(before), of(after));
    Round {
        image,
        plain: Times {
            writing: mean(|times| times.writing),
            sync: mean(|times| times.sync),
        },
    }
}

/// The image of a program with so many mebibytes, written after `bytes`; also how many bytes it has.
fn image(program: &Program, place: &Place, mebibytes: u64, bytes: &[u8]) -> (Times, usize) {
    let launch = program.launch().arg(mebibytes.to_string());
    let mut process = launch.args(["small", "rest"]).start(place);
    process.wait_until_ready();
    process.wait_until_armed();
    plain(place, bytes);
    settle(place);
    process.signal(CHECKPOINT_SIGNAL);
    let line = until("the line of libckpt", || Line::of(place));
    process.kill();
    let path = place.file("myckpt");
    let length = fs::metadata(&path).expect("there is an image").len();
    fs::remove_file(&path).expect("there is an image");
    let times = Times {
        writing: line.writing,
        sync: line.sync,
    };
    (times, usize::try_from(length).expect("it fits"))
}

fn plain(place: &Place, mut bytes: &[u8]) -> Times {
    settle(place);
    let path = place.file("plain");
    let start = Instant::now();
    let mut file = File::create(&path).expect("a place is writable");
    while !bytes.is_empty() {
        // The kernel takes a little less than 2 GiB at once.
        let count = file.write(bytes).expect("the disk has room");
        bytes = &bytes[count..];
    }
    let writing = milliseconds(start.elapsed());
    let start = Instant::now();
    file.sync_all().expect("the disk takes what was written");
    let sync = milliseconds(start.elapsed());
    drop(file);
    fs::remove_file(&path).expect("the file is there");
    Times { writing, sync }
}

fn random_bytes(length: usize) -> Vec<u8> {
    // As `fill` of `programs/survive.h` makes them.
    let words = (0..length.div_ceil(8)).scan(1u64, |seed, _| {
        *seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        Some(*seed)
    });
    words.flat_map(u64::to_ne_bytes).take(length).collect()
}
