//! For how long a checkpoint holds its program up, beside a bare fork of the same process.

use std::fs;
use std::time::Duration;

use ckpt_tests::{CHECKPOINT_SIGNAL, Place, Process, Program, until};

use crate::figures::{Table, median, milliseconds, ms, size, with_range};
use crate::line::Line;
use crate::{available, place};

/// Sizes of pages, as `still.c` calls them and as people do.
const PAGES: [(&str, &str); 2] = [("small", "4 KiB"), ("huge", "2 MiB")];

/// Passes over its memory that a program makes before its checkpoint, and after it has ended.
const PASSES: usize = 5;

/// Milliseconds.
struct Round {
    /// A bare fork of the program.
    fork: f64,
    /// The pause that libckpt says it made.
    said: f64,
    /// The time for which the program stood still.
    stood_still: f64,
    /// One pass of a program that writes to each page of its memory, without a checkpoint.
    pass: f64,
    /// The processor time that such a program has used beyond that until the writer was gone.
    copying: f64,
}

pub fn measure(sizes: &[u64]) {
    let mut pauses = Table::new([
        "random data",
        "pages",
        "bare fork",
        "pause",
        "program stood still",
        "pause / fork",
        "stood still / fork",
    ]);
    let mut copying = Table::new([
        "random data",
        "pages",
        "a pass over all pages",
        "copy on write, in all",
        "in passes",
    ]);
    let program = Program::workload("still.c");
    for &mebibytes in sizes {
        if available() < 3 * mebibytes {
            println!("{}: left out, too little memory\n", size(mebibytes));
            continue;
        }
        let rounds = match mebibytes {
            ..128 => 11,
            128..1024 => 9,
            _ => 5,
        };
        for (pages, name) in PAGES {
            let rounds: Vec<Round> = (0..rounds)
                .map(|_| round(&program, mebibytes, pages))
                .collect();
            let time = |of: fn(&Round) -> f64| ms(median(rounds.iter().map(of)));
            let ratio = |of: fn(&Round) -> f64| with_range(rounds.iter().map(of));
            pauses.row([
                size(mebibytes),
                name.to_owned(),
                time(|round| round.fork),
                time(|round| round.said),
                time(|round| round.stood_still),
                ratio(|round| round.said / round.fork),
                ratio(|round| round.stood_still / round.fork),
            ]);
            copying.row([
                size(mebibytes),
                name.to_owned(),
                time(|round| round.pass),
                time(|round| round.copying),
                ratio(|round| round.copying / round.pass),
            ]);
        }
    }
    pauses.print("Pause");
    copying.print("Writing to memory that is being saved (processor time)");
}

fn round(program: &Program, mebibytes: u64, pages: &str) -> Round {
    let [watching, touching] = ["watch", "touch"].map(|what| {
        let place = place("pause");
        let launch = program.launch().arg(mebibytes.to_string());
        // Elsewhere: the program waits for whoever changes the directory that it looks into all the time.
        fs::create_dir(place.file("images")).expect("a place is writable");
        let launch = launch.env("CKPT_FILE", "images/myckpt");
        let mut process = launch.arg(pages).arg(what).start(&place);
        process.wait_until_ready();
        process.wait_until_armed();
        if what == "touch" {
            wait_for_passes(&place, PASSES);
        }
        process.signal(CHECKPOINT_SIGNAL);
        let line = until("the line of libckpt", || Line::of(&place));
        if what == "touch" {
            wait_for_passes(&place, passes(&place).len() + PASSES);
        }
        finish(process, &place);
        (place, line)
    });
    let (place, line) = watching;
    let fork = median(numbers(&place, "fork").map(|[time]| time));
    let stood_still = numbers(&place, "gap").map(|[gap]| gap).next();
    let passes = passes(&touching.0);
    let pass = median(passes[..PASSES].iter().copied());
    Round {
        fork,
        said: line.pause,
        stood_still: stood_still.expect("the program says it at its end"),
        pass,
        copying: passes[PASSES..].iter().map(|time| time - pass).sum(),
    }
}

/// Processor time of all passes so far, in milliseconds.
fn passes(place: &Place) -> Vec<f64> {
    numbers(place, "pass").map(|[_, time]| time).collect()
}

fn wait_for_passes(place: &Place, count: usize) {
    until("the program to write to its memory", || {
        (passes(place).len() >= count).then_some(())
    });
}

/// Lets the program verify its memory, and end.
fn finish(mut process: Process, place: &Place) {
    fs::create_dir(place.file("release")).expect("a place is writable");
    let status = process.wait();
    assert_eq!(status.code(), Some(42), "{}", process.errors());
}

/// The numbers in the lines of the program that begin with `word`: nanoseconds as milliseconds.
fn numbers<const N: usize>(place: &Place, word: &str) -> impl Iterator<Item = [f64; N]> {
    let text = place.text("out");
    let complete = text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    let lines: Vec<[f64; N]> = complete
        .filter_map(|line| line.strip_prefix(word)?.strip_prefix(' '))
        .filter_map(|line| {
            let numbers = line.split_whitespace().map(|number| number.parse().ok());
            let numbers: Option<Vec<u64>> = numbers.collect();
            <[u64; N]>::try_from(numbers?).ok()
        })
        .map(|numbers| numbers.map(|number| milliseconds(Duration::from_nanos(number))))
        .collect();
    lines.into_iter()
}
