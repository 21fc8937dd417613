//! How pause, checkpoint, and restart grow with the size, the regions, and the threads of a program: a table and a plot.

use std::path::Path;

use ckpt_tests::{CHECKPOINT_SIGNAL, Program, Restart, target_dir, until};

use crate::figures::{Table, median, ms};
use crate::line::Line;
use crate::yardstick::warm_memory_up;
use crate::{available, place, plot, speed};

const ROUNDS: usize = 5;

/// What grows while the rest stays small.
struct Scale {
    what: &'static str,
    counts: &'static [u32],
    /// Arguments of `beats.c`: MiB, threads, regions.
    arguments: fn(u32) -> [u32; 3],
}

/// Up to 60,000 regions, since a process may have 65,530 (`vm.max_map_count`).
const SCALES: [Scale; 3] = [
    Scale {
        what: "MiB of random data",
        counts: &[1, 4, 16, 64, 256, 1024, 4096, 8192],
        arguments: |mebibytes| [mebibytes, 0, 0],
    },
    Scale {
        what: "regions",
        counts: &[10, 100, 1000, 10_000, 60_000],
        arguments: |regions| [1, 0, regions],
    },
    Scale {
        what: "threads",
        counts: &[1, 10, 100, 1000],
        arguments: |threads| [1, threads, 0],
    },
];

/// Milliseconds, in the order of [`plot::SERIES`].
type Times = [f64; 3];

pub fn measure() {
    let program = Program::workload("beats.c");
    let mut panels = Vec::new();
    for scale in &SCALES {
        let mut table = Table::new([scale.what, "pause", "checkpoint", "restart"]);
        let mut points = Vec::new();
        for &count in scale.counts {
            let arguments = (scale.arguments)(count);
            // The program, or what warms memory up for the restored one, and the image in the page cache; and some to spare.
            if available() < 5 * u64::from(arguments[0]) / 2 {
                println!("{count} {}: left out, too little memory\n", scale.what);
                continue;
            }
            let rounds: Vec<Times> = (0..ROUNDS).map(|_| round(&program, arguments)).collect();
            let times = [0, 1, 2].map(|which| median(rounds.iter().map(|times| times[which])));
            let [pause, checkpoint, restart] = times.map(ms);
            table.row([count.to_string(), pause, checkpoint, restart]);
            points.push((f64::from(count), times));
        }
        table.print(&format!("By {}", scale.what));
        panels.push(plot::Panel {
            what: scale.what,
            points,
        });
    }
    let file = target_dir().join("scale.svg");
    plot::draw(&file, &panels).expect("a plot can be written");
    println!("The plot is {}.\n", shown(&file));
}

fn shown(file: &Path) -> String {
    file.display().to_string()
}

fn round(program: &Program, arguments: [u32; 3]) -> Times {
    let place = place("scale");
    let launch = program
        .launch()
        .args(arguments.map(|argument| argument.to_string()));
    let mut process = launch.start(&place);
    process.wait_until_ready();
    process.wait_until_armed();
    speed::settle(&place);
    process.signal(CHECKPOINT_SIGNAL);
    let line = until("the line of libckpt", || Line::of(&place));
    process.kill();
    speed::settle(&place);
    // It takes twice as much.
    warm_memory_up(u64::from(arguments[0]) << 19);
    let restart = speed::restart_time(&place, Restart::Eager);
    [line.pause, line.total, restart]
}
