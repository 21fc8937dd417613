//! `make bench`: what libckpt and restorer cost, measured on this machine and printed as Markdown.
//!
//! Arguments are the sizes in MiB of the programs that are checkpointed and restarted (16, 256 and 2048 without any), and
//! names of what is to be measured (everything without any).
//! What is compared is measured in turns, in the same run, on the same disk: figures of different runs are not comparable
//! on a machine that does other things, too.

mod beats;
mod compress;
mod criu;
mod figures;
mod line;
mod pause;
mod plot;
mod run_time;
mod scale;
mod size;
mod speed;
mod start_up;
mod threads;
mod writing;
mod yardstick;

use std::fs;

use ckpt_tests::{Place, target_dir};

/// Measures something, with programs of these sizes in MiB where that matters.
type Measure = fn(&[u64]);

/// What is measured, by name.
const PARTS: [(&str, Measure); 10] = [
    ("start", |_| start_up::measure()),
    ("pause", pause::measure),
    ("writing", writing::measure),
    ("speed", speed::measure),
    ("compress", compress::measure),
    ("threads", |_| threads::measure()),
    ("size", |_| size::measure()),
    ("run", |_| run_time::measure()),
    ("criu", criu::measure),
    ("scale", |_| scale::measure()),
];

fn main() {
    let (mut sizes, mut wanted) = (Vec::new(), Vec::new());
    for argument in std::env::args().skip(1) {
        match argument.parse() {
            Ok(size) => sizes.push(size),
            Err(_) => wanted.push(argument),
        }
    }
    if sizes.is_empty() {
        sizes = vec![16, 256, 2048];
    }
    let unknown = wanted
        .iter()
        .find(|wanted| PARTS.iter().all(|(name, _)| name != wanted));
    assert!(unknown.is_none(), "there is no part {unknown:?}");
    println!("Measured on {}.\n", machine());
    for (name, measure) in PARTS {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            measure(&sizes);
        }
    }
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

/// MiB of memory that programs can still have.
fn available() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").expect("/proc is mounted");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
    kibibytes.map_or(u64::MAX, |kibibytes: u64| kibibytes / 1024)
}
