//! `make bench`: what libckpt and restorer cost, measured on this machine and printed as Markdown.
//!
//! Arguments are the sizes in MiB of the programs that are checkpointed and restarted; 16, 256 and 2048 without any.
//! What is compared is measured in turns, in the same run, on the same disk: figures of different runs are not comparable
//! on a machine that does other things, too.

mod beats;
mod figures;
mod run_time;
mod size;
mod speed;
mod start_up;
mod threads;

use std::fs;

use ckpt_tests::{Place, target_dir};

fn main() {
    let mut sizes: Vec<u64> = std::env::args()
        .skip(1)
        .map(|size| size.parse().expect("an argument is a number of MiB"))
        .collect();
    if sizes.is_empty() {
        sizes = vec![16, 256, 2048];
    }
    println!("Measured on {}.\n", machine());
    start_up::measure();
    speed::measure(&sizes);
    threads::measure();
    size::measure();
    run_time::measure();
}

/// A fresh directory on the disk on which the artefacts are, since `/tmp` may be memory.
fn place(what: &str) -> Place {
    Place::below(&target_dir(), &format!("bench-{what}"))
}

/// What the figures hold for.
fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models: Vec<&str> = cpu
        .lines()
        .filter(|line| line.starts_with("model name"))
        .filter_map(|line| line.split_once(": "))
        .map(|(_, model)| model)
        .collect();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!(
        "{} × {}, Linux {}, load {} at the start",
        models.len(),
        models.first().unwrap_or(&"unknown CPU"),
        kernel.trim(),
        load.split(' ').next().unwrap_or_default()
    )
}
