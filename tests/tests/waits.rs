//! Every call that waits, interrupted by a checkpoint, or by two checkpoints and restarts: it neither ends early nor
//! begins anew, and a signal that ends it still does. Each is made by a program of one thread, which then takes the
//! checkpoint inside of the call, and by a thread beside the main one.
//!
//! All calls are made at the same time, each by a process of its own, so that the tests take little longer than one call.

use std::hint::spin_loop;
use std::panic::{catch_unwind, resume_unwind};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{available_parallelism, scope, sleep};
use std::time::Duration;

use ckpt_tests::{Launch, Place, Process, Program, not_run, rounds, until};

/// Seconds that a call lasts, as in `workloads/wait.cc`.
const WHOLE: f64 = 10.0;

/// Seconds of it that pass before the first checkpoint, and between the first and the second.
const FIRST: f64 = 4.0;
const SECOND: f64 = 3.0;

/// Seconds by which a call may be late on a busy machine: less than what has passed before the last checkpoint.
const LATE: f64 = 6.0;

/// How long a process does not exist.
const ABSENCE: Duration = Duration::from_secs(6);

/// By how much later than the one before each call begins, so that not all checkpoints are taken at the same moment.
const STEP: Duration = Duration::from_millis(50);

/// Held by the test that runs: two of them would keep the machine from keeping time.
static TURN: Mutex<()> = Mutex::new(());

/// What ends a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Its limit, of which no checkpoint takes anything.
    Limit,
    /// The same, but after a checkpoint it may begin anew.
    Anew,
    /// The time of a clock.
    Time,
    /// A signal.
    Signal,
}

/// The names of all calls, and what ends each.
fn calls_of(program: &Program) -> Vec<(String, End)> {
    let listed = Command::new(program.path())
        .arg("list")
        .output()
        .expect("the program runs");
    let listed = String::from_utf8(listed.stdout).expect("names are text");
    let call = |line: &str| {
        let (name, end) = line.split_once(' ').expect("a name and what ends it");
        let end = match end {
            "limit" => End::Limit,
            "anew" => End::Anew,
            "time" => End::Time,
            "signal" => End::Signal,
            other => panic!("{name} ends by {other}"),
        };
        (name.to_owned(), end)
    };
    listed.lines().map(call).collect()
}

/// The ways in which a call is made: alone, by a thread beside the main one, or by a program that has a handler for the checkpoint signal.
const MODES: [Option<&str>; 3] = [None, Some("sibling"), Some("claimed")];
const PLAIN_MODES: [Option<&str>; 2] = [None, Some("sibling")];

/// Makes all calls but `except` in all ways, with what happens to each meanwhile.
fn make_all(test: &str, except: &[&str], interrupt: fn(&mut Waiting)) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let program = Program::workload("wait.cc");
    let calls = calls_of(&program);
    scope(|threads| {
        for (name, end) in &calls {
            for mode in MODES.into_iter().filter(|_| !except.contains(&&**name)) {
                let program = &program;
                sleep(STEP);
                threads.spawn(move || {
                    let what = [test, name, mode.unwrap_or("alone")].join("-");
                    let mut waiting = Waiting::start(&what, program, name, mode, *end);
                    interrupt(&mut waiting);
                    waiting.end();
                });
            }
        }
    });
}

/// A process that waits in a call.
struct Waiting {
    what: String,
    place: Place,
    process: Process,
    end: End,
    begin: f64,
    /// At least, and at most, so many seconds the process did not exist, or stood still.
    absent: (f64, f64),
    /// When it was restored, at the latest.
    back: f64,
    /// Why it cannot be checkpointed.
    refused: Option<String>,
}

impl Waiting {
    fn start(what: &str, program: &Program, name: &str, mode: Option<&str>, end: End) -> Self {
        let place = Place::new(&what.replace("::", "_"));
        let mut process = Launch::under_libckpt(program.path())
            .arg(name)
            .args(mode)
            .start(&place);
        process.wait_until_ready();
        sleep(Duration::from_secs_f64(FIRST));
        let begin = time_in(&place, "begin").expect("a program that is ready has begun");
        Self {
            what: what.to_owned(),
            place,
            process,
            end,
            begin,
            absent: (0.0, 0.0),
            back: 0.0,
            refused: None,
        }
    }

    /// Takes a checkpoint, if what the program holds can be saved; `false` if not, or if the call has ended. On a very slow
    /// machine that comes before the checkpoint.
    fn checkpoint(&mut self) -> bool {
        if self.refused.is_some() {
            return false;
        }
        let before = now();
        match self.process.checkpoint_unless_ended() {
            Ok(is_taken) => {
                self.absent.1 += now() - before;
                is_taken
            }
            Err(line) => {
                self.refused = Some(line);
                false
            }
        }
    }

    /// Kills the process and restores it later.
    fn restart(&mut self) {
        if !self.checkpoint() {
            return;
        }
        let written = now();
        self.process.kill();
        sleep(ABSENCE);
        let begun = now();
        self.process = Launch::restorer(["myckpt"]).start(&self.place);
        // A time that has passed meanwhile ends it at once.
        let _ = self.process.armed_unless_ended();
        self.back = now();
        self.absent.0 += begun - written;
        self.absent.1 += self.back - written;
    }

    /// Has it end, and looks at how and when it does.
    fn end(mut self) {
        let (what, end) = (&self.what, self.end);
        if end == End::Signal {
            assert_eq!(self.process.ended(), None, "{what}: back without a signal");
            // It may come before the call is made again.
            self.process.signal(libc::SIGUSR1);
        }
        let status = self.process.wait();
        let errors = self.place.text("err");
        assert_eq!(status.code(), Some(42), "{what}: {status}\n{errors}");
        let ended = time_in(&self.place, "end").expect("it has ended");
        let waited = ended - self.begin;
        // What has passed for the program itself.
        let (most, least) = (waited - self.absent.0, waited - self.absent.1);
        match end {
            End::Limit | End::Anew => assert!(most >= WHOLE, "{what}: back after {most} s"),
            End::Time => assert!(waited >= WHOLE, "{what}: back after {waited} s"),
            End::Signal => {}
        }
        let is_late = match end {
            End::Limit => least > WHOLE + LATE,
            End::Time => ended > self.back.max(self.begin + WHOLE) + LATE,
            End::Anew | End::Signal => false,
        };
        assert!(!is_late, "{what}: waited for {least} to {most} s");
        if let Some(line) = self.refused {
            not_run(what, &line);
        }
    }
}

/// The time that a program has left in a file.
fn time_in(place: &Place, name: &str) -> Option<f64> {
    place
        .file(name)
        .exists()
        .then(|| place.text(name).parse().expect("a number"))
}

/// Seconds on the clock that the programs use.
fn now() -> f64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the call writes one struct.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

#[test]
fn every_call_goes_on_after_a_checkpoint() {
    make_all("goes-on", &[], |waiting| {
        waiting.checkpoint();
        sleep(Duration::from_secs_f64(SECOND));
        waiting.checkpoint();
    });
}

/// Connections that were not accepted are lost in a restart, so that one which waited behind them is made.
const MADE_BY_A_RESTART: &str = "connect";

#[test]
fn every_call_goes_on_after_a_restart() {
    make_all("comes-back", &[MADE_BY_A_RESTART], |waiting| {
        waiting.restart();
        sleep(Duration::from_secs_f64(SECOND));
        if waiting.end != End::Time {
            waiting.restart();
        }
    });
}

/// Busy threads for each processor, so that a thread which has just been restored is often kept from its call for a while.
const BUSY: usize = 5;

/// Restarts of each call in each round.
const RESTARTS: u32 = 3;

/// A signal that comes as early as one can come to a restored process: often before the thread is back in its call.
#[test]
fn a_signal_right_at_the_restart_ends_the_call() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let program = Program::workload("wait.cc");
    let is_over = AtomicBool::new(false);
    scope(|threads| {
        for _ in 0..BUSY * available_parallelism().map_or(1, usize::from) {
            threads.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    spin_loop()
                }
            });
        }
        let result = catch_unwind(|| {
            let calls = calls_of(&program).into_iter();
            for (name, _) in
                calls.filter(|(name, end)| *end == End::Signal && name != MADE_BY_A_RESTART)
            {
                for mode in PLAIN_MODES {
                    signal_right_at_restarts(&program, &name, mode);
                }
            }
        });
        is_over.store(true, Ordering::Relaxed);
        if let Err(panic) = result {
            resume_unwind(panic);
        }
    });
}

fn signal_right_at_restarts(program: &Program, name: &str, mode: Option<&str>) {
    let what = ["at-once", name, mode.unwrap_or("alone")].join("-");
    let place = Place::new(&what);
    let mut process = Launch::under_libckpt(program.path())
        .arg(name)
        .args(mode)
        .start(&place);
    process.wait_until_ready();
    wait_until_all_wait(&process, 1 + usize::from(mode.is_some()));
    process.checkpoint();
    process.kill();
    for restart in 0..RESTARTS * rounds() {
        let mut process = Launch::restorer(["myckpt"]).start(&place);
        process.wait_until_armed();
        process.signal(libc::SIGUSR1);
        let status = process.wait();
        assert_eq!(
            status.code(),
            Some(42),
            "{what}, restart {restart}: {status}"
        );
    }
}

/// A signal that comes while a checkpoint is refused: the program is stopped, so that both signals are there when it goes on, and the
/// lower number is taken first.
#[test]
fn a_signal_during_a_refused_checkpoint_ends_the_call() {
    let program = Program::workload("wait.cc");
    let calls = calls_of(&program).into_iter();
    for (name, _) in calls.filter(|(_, end)| *end == End::Signal) {
        let place = Place::new(&["refused", &name].join("-"));
        let mut process = Launch::under_libckpt(program.path())
            .args([name.as_str(), "child"])
            .env("CKPT_SIGNAL", "1")
            .start(&place);
        process.wait_until_ready();
        wait_until_all_wait(&process, 1);
        process.stop();
        process.signal(libc::SIGHUP);
        process.signal(libc::SIGUSR1);
        process.signal(libc::SIGCONT);
        let status = process.wait();
        let errors = place.text("err");
        assert_eq!(status.code(), Some(42), "{name}: {status}\n{errors}");
        assert!(errors.contains("child"), "{name}: {errors}");
    }
}

/// The first checkpoint of a program, right behind a call that a handler has just ended: it stays ended, here and in a restart.
#[test]
fn a_checkpoint_right_behind_an_ended_call_leaves_it_ended() {
    let program = Program::workload("wait.cc");
    for name in calls_that_handlers_end(&program) {
        for (mode, installed) in PLAIN_MODES
            .map(|mode| (mode, "checkpoint"))
            .into_iter()
            .chain(PLAIN_MODES.map(|mode| (mode, "checkpoint-syscall")))
        {
            let what = [installed, &name, mode.unwrap_or("alone")].join("-");
            let place = Place::new(&what);
            let mut process = checkpoint_behind(&program, &name, mode, installed, &place);
            let status = process.wait();
            let errors = place.text("err");
            assert_eq!(status.code(), Some(42), "{what}: {status}\n{errors}");
            assert!(errors.contains("wrote "), "{what}: {errors}");
            assert!(!errors.contains("without libc"), "{what}: {errors}");
            let status = Launch::restorer(["myckpt"]).start(&place).wait();
            assert_eq!(status.code(), Some(42), "{what}, restored: {status}");
        }
    }
}

/// The same where the handler was installed by a `syscall` instruction of the program's own: nobody knows what has ended the call, so it is made
/// again, and one line says so. From then on it is as with all handlers.
#[test]
fn a_call_that_may_have_been_ended_is_told_of() {
    let program = Program::workload("wait.cc");
    let mut told_of = 0;
    for name in calls_that_handlers_end(&program) {
        let place = Place::new(&["raw", &name].join("-"));
        let mut process = checkpoint_behind(&program, &name, None, "checkpoint-raw", &place);
        let is_over = || {
            let errors = place.text("err");
            errors.contains("wrote ").then_some(errors)
        };
        let errors = until("the checkpoint", is_over);
        let is_made_again = |errors: &str| {
            errors.contains("the handler of signal 10") && errors.contains("without libc")
        };
        // What our own handler has the kernel make again is known to have ended.
        if is_made_again(&errors) {
            process.signal(libc::SIGUSR1);
            told_of += 1;
        }
        let status = process.wait();
        let errors = place.text("err");
        assert_eq!(status.code(), Some(42), "{name}: {status}\n{errors}");
    }
    assert!(told_of > 0, "all calls were known to have ended");
}

/// The calls that a signal with a handler ends.
fn calls_that_handlers_end(program: &Program) -> impl Iterator<Item = String> {
    let calls = calls_of(program).into_iter();
    calls
        .filter(|(name, end)| *end == End::Signal && !name.starts_with("sigwait"))
        .map(|(name, _)| name)
}

/// A program that has made the call `name`, which a handler has ended, with a checkpoint right behind that.
fn checkpoint_behind(
    program: &Program,
    name: &str,
    mode: Option<&str>,
    installed: &str,
    place: &Place,
) -> Process {
    let mut process = Launch::under_libckpt(program.path())
        .arg(name)
        .args(mode)
        .arg(installed)
        .env("CKPT_SIGNAL", "50")
        .env("CKPT_MODE", "stop")
        .start(place);
    process.wait_until_ready();
    wait_until_all_wait(&process, 1 + usize::from(mode.is_some()));
    process.signal(libc::SIGUSR1);
    process
}

/// Waits until all `threads` of a process are in their calls, and not in one on the way there.
fn wait_until_all_wait(process: &Process, threads: usize) {
    const LOOKS: u32 = 20;
    let (mut seen, mut looks) = (Vec::new(), 0);
    until("calls that wait", || {
        let calls = process.calls();
        looks = if calls == seen { looks + 1 } else { 0 };
        seen = calls;
        (looks == LOOKS && seen.len() == threads).then_some(())
    });
}
