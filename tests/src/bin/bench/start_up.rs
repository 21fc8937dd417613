//! What the preload costs a program at its start.

use std::process::Command;
use std::time::Instant;

use ckpt_tests::libckpt;

use crate::figures::{Table, median, milliseconds, ms};

const PAIRS: usize = 1000;

pub fn measure() {
    let pairs: Vec<(f64, f64)> = (0..PAIRS)
        .map(|pair| {
            // Whoever comes second may find the caches warm, so they take turns at that, too.
            if pair % 2 == 0 {
                let plain = run(false);
                (plain, run(true))
            } else {
                let preloaded = run(true);
                (run(false), preloaded)
            }
        })
        .collect();
    let mut table = Table::new([
        "`/bin/true`, median of starts",
        "plain",
        "preloaded",
        "difference",
    ]);
    table.row([
        format!("{PAIRS} of each, in turns"),
        ms(median(pairs.iter().map(|pair| pair.0))),
        ms(median(pairs.iter().map(|pair| pair.1))),
        ms(median(pairs.iter().map(|pair| pair.1 - pair.0))),
    ]);
    table.print("Start");
}

/// Milliseconds from before the fork until its end is known.
fn run(preload: bool) -> f64 {
    let mut command = Command::new("/bin/true");
    command.env_clear();
    if preload {
        command.env("LD_PRELOAD", libckpt());
    }
    let start = Instant::now();
    let status = command.status().expect("/bin/true can be started");
    let time = milliseconds(start.elapsed());
    assert!(status.success(), "/bin/true fails");
    time
}
