//! A program that is checkpointed at random moments of its work, killed, and restored, again and again, every other time
//! lazily: its output is the same to the byte as that of an undisturbed run.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::launch::{Launch, Restart};
use crate::place::Place;
use crate::process::{CHECKPOINT_SIGNAL, Process};
use crate::random::Random;
use crate::wait::until;

/// How often a program is restored in one round: `CKPT_TEST_GENERATIONS`, or 5 times.
///
/// # Panics
/// If `CKPT_TEST_GENERATIONS` is not a number.
#[must_use]
pub fn generations() -> u32 {
    from_environment("CKPT_TEST_GENERATIONS", 5)
}

/// What a program ends with at its checkpoint if `CKPT_AFTER` is `exit`.
pub(crate) const ENDED_AT_CHECKPOINT: i32 = 85;

/// How often everything is done: `CKPT_TEST_ROUNDS`, or 3 times.
///
/// # Panics
/// If `CKPT_TEST_ROUNDS` is not a number.
#[must_use]
pub fn rounds() -> u32 {
    from_environment("CKPT_TEST_ROUNDS", 3)
}

fn from_environment(name: &str, default: u32) -> u32 {
    std::env::var(name).map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is a number"))
    })
}

/// A file of `workloads/`.
#[must_use]
pub fn workload(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("workloads")
        .join(name)
}

/// What is started, and what is expected of it.
pub struct Trial<'a> {
    test: &'a str,
    launch: Box<dyn Fn() -> Launch + 'a>,
    threads: u32,
    signal: i32,
    ends: bool,
    restorer: Vec<&'a str>,
    afterwards: Box<dyn Fn(&Place) + 'a>,
}

impl fmt::Debug for Trial<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Trial")
            .field("test", &self.test)
            .finish_non_exhaustive()
    }
}

impl<'a> Trial<'a> {
    /// A program under libckpt.
    #[must_use]
    pub fn new(test: &'a str, launch: impl Fn() -> Launch + 'a) -> Self {
        Self {
            test,
            launch: Box::new(launch),
            threads: 1,
            signal: CHECKPOINT_SIGNAL,
            ends: false,
            restorer: Vec::new(),
            afterwards: Box::new(|_| ()),
        }
    }

    /// It has so many threads, or more, for at least half of its time.
    #[must_use]
    pub fn threads(mut self, threads: u32) -> Self {
        self.threads = threads;
        self
    }

    /// Another signal for its checkpoints.
    #[must_use]
    pub fn signal(mut self, signal: i32) -> Self {
        self.signal = signal;
        self
    }

    /// It writes files in place, so it is ended at each checkpoint: nothing changes until it is restored.
    #[must_use]
    pub fn ends_at_checkpoints(mut self) -> Self {
        self.ends = true;
        self
    }

    /// Another option for each restart.
    #[must_use]
    pub fn restorer(mut self, option: &'a str) -> Self {
        self.restorer.push(option);
        self
    }

    /// What else is to be looked at when it has ended.
    #[must_use]
    pub fn afterwards(mut self, look: impl Fn(&Place) + 'a) -> Self {
        self.afterwards = Box::new(look);
        self
    }

    /// Runs it once undisturbed and [`rounds`] times disturbed.
    ///
    /// # Panics
    /// If it does something else when it is disturbed.
    pub fn run(&self) {
        let (expected, duration) = self.undisturbed();
        let mut random = Random::new(self.test);
        let (generations, mut threads) = (generations(), 0);
        for round in 1..=rounds() {
            let place = Place::new(self.test);
            let mut process = self.start(&place);
            let mut generation = 0;
            let status = loop {
                if generation == generations {
                    break process.wait();
                }
                sleep(random.shorter_than(duration / generations));
                threads = threads.max(process.threads());
                if let Some(status) = self.interrupt(&mut process, &mut random) {
                    break status;
                }
                let how = if generation % 2 == 0 {
                    Restart::Eager
                } else {
                    Restart::Lazy
                };
                process = Launch::restorer(how.options())
                    .args(&self.restorer)
                    .arg("myckpt")
                    .checkpoint_signal(self.signal)
                    .start(&place);
                generation += 1;
            };
            let errors = place.text("err") + &place.text("restorer.err");
            assert!(
                status.success(),
                "round {round}, generation {generation}: {status}\n{errors}"
            );
            assert!(
                place.bytes("out") == expected,
                "round {round}, generation {generation}: other output\n{errors}"
            );
            (self.afterwards)(&place);
        }
        // Of a single round all checkpoints may come before the threads do.
        assert!(
            rounds() == 1 || threads >= self.threads,
            "no checkpoint found more than {threads} threads"
        );
    }

    fn start(&self, place: &Place) -> Process {
        let launch = (self.launch)().checkpoint_signal(self.signal);
        if self.ends {
            launch.env("CKPT_AFTER", "exit").start(place)
        } else {
            launch.start(place)
        }
    }

    /// What the program writes if nobody disturbs it, and how long that takes.
    fn undisturbed(&self) -> (Vec<u8>, Duration) {
        let place = Place::new(self.test);
        let start = Instant::now();
        let mut process = (self.launch)().without_libckpt().start(&place);
        let mut looks = (0_u32, 0_u32);
        let status = until("the end of an undisturbed process", || {
            looks.0 += u32::from(process.threads() >= self.threads);
            looks.1 += 1;
            process.ended()
        });
        let duration = start.elapsed();
        assert!(
            status.success(),
            "undisturbed: {status}: {}",
            place.text("err")
        );
        assert!(
            looks.0 * 2 >= looks.1,
            "only {} times of {} it had {} threads",
            looks.0,
            looks.1,
            self.threads
        );
        let output = place.bytes("out");
        assert!(!output.is_empty(), "there is no output to compare");
        (output, duration)
    }

    /// Takes a checkpoint and kills the process. If it has come to its end before that, says how.
    fn interrupt(&self, process: &mut Process, random: &mut Random) -> Option<ExitStatus> {
        if self.ends {
            if process.armed_unless_ended() {
                process.signal(self.signal);
            }
            let status = process.wait();
            let refusals = process.refusals();
            assert!(refusals.is_empty(), "{}", refusals[0]);
            return (status.code() != Some(ENDED_AT_CHECKPOINT)).then_some(status);
        }
        let is_taken = process.checkpoint_unless_ended();
        if !is_taken.unwrap_or_else(|line| panic!("{line}")) {
            return Some(process.wait());
        }
        // What it writes from here on is written again after the restart.
        sleep(random.shorter_than(Duration::from_millis(30)));
        if self.restorer.contains(&"--pid") {
            process.kill_and_free_id();
        } else {
            process.kill();
        }
        None
    }
}
