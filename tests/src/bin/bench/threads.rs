//! What threads cost: how long a checkpoint takes to stop them, and a restart to bring them back.

use ckpt_tests::{CHECKPOINT_SIGNAL, Launch, Program, real_time, until};

use crate::beats::{end_of_stop, until_often};
use crate::figures::{Table, median, ms, with_range};
use crate::place;

/// How many threads wait beside the one that watches the clock.
const COUNTS: [u32; 4] = [1, 10, 100, 1000];
const ROUNDS: usize = 11;

/// Milliseconds.
struct Round {
    /// From the signal until all threads have stopped, as libckpt says.
    stopped: f64,
    /// From before the fork that becomes the restorer until the program goes on.
    restart: f64,
}

pub fn measure() {
    let program = Program::workload("beats.c");
    // The same round of all counts follows each other, since they are compared.
    let rounds: Vec<[Round; COUNTS.len()]> = (0..ROUNDS)
        .map(|_| COUNTS.map(|count| round(&program, count)))
        .collect();
    let mut table = Table::new([
        "threads, all of them blocked",
        "stopped after",
        "restart",
        "restart, µs for each further thread",
    ]);
    for (index, count) in COUNTS.into_iter().enumerate() {
        let of = |time: fn(&Round) -> f64| rounds.iter().map(move |round| time(&round[index]));
        let further = |round: &[Round; COUNTS.len()]| {
            let more = round[index].restart - round[0].restart;
            more * 1e3 / f64::from(count - COUNTS[0])
        };
        table.row([
            count.to_string(),
            format!("{} ms", with_range(of(|round| round.stopped))),
            ms(median(of(|round| round.restart))),
            match index {
                0 => String::new(),
                _ => with_range(rounds.iter().map(further)),
            },
        ]);
    }
    table.print("Threads");
}

fn round(program: &Program, threads: u32) -> Round {
    let place = place("threads");
    let launch = program.launch().arg("1").arg(threads.to_string());
    let mut process = launch.start(&place);
    process.wait_until_ready();
    process.wait_until_armed();
    process.signal(CHECKPOINT_SIGNAL);
    let stopped = until("the line of libckpt", || stopped(&place.text("err")));
    process.kill();
    wait_for_the_kernel();

    let start = real_time();
    let restored = Launch::restorer(["myckpt"]).start(&place);
    let restart = until_often("the program to go on", || end_of_stop(&place, start));
    drop(restored);
    Round { stopped, restart }
}

/// Waits until the kernel has given back what the threads of a killed process had, which it does after that has ended and on
/// the processors that a restart uses: who restarts later does not pay for it.
fn wait_for_the_kernel() {
    // Returns after what was in progress on all processors, and the things that are put off until then follow (`call_rcu`,
    // as `put_task_struct_rcu_user` of kernel/exit.c does); the second time those were done.
    for _ in 0..2 {
        // SAFETY: the call takes plain numbers and changes nothing.
        unsafe { libc::syscall(libc::SYS_membarrier, libc::MEMBARRIER_CMD_GLOBAL, 0, 0) };
    }
}

/// The time in libckpt's line, in milliseconds.
fn stopped(lines: &str) -> Option<f64> {
    let (_, behind) = lines.split_once("stopped in ")?;
    let (figure, _) = behind.split_once(" ms")?;
    figure.parse().ok()
}
