//! What the preload costs a program that runs and gets no signal: instructions, counted by callgrind, which do not depend on
//! what else the machine does. They do depend on addresses, and those of the program's memory are others beside libckpt's; so
//! libckpt's own instructions are counted, too.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::mem::take;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use ckpt_tests::{Place, free_port, libckpt, until, workload};

use crate::figures::Table;
use crate::place;

const VALGRIND: &str = "/usr/bin/valgrind";

/// Requests to the server, each of which waits for the reply to the one before.
const REQUESTS: u32 = 20_000;

/// Counts a program's instructions, with libckpt preloaded or not; nothing if it is not installed.
type Counted = fn(preload: bool) -> Option<Count>;

const PROGRAMS: [(&str, Counted); 3] = [
    ("`python3 compute.py`", python3),
    ("`sqlite3 < transaction.sql`", sqlite3),
    ("`redis-server`, 20,000 requests in turn", redis_server),
];

pub fn measure() {
    const HEADING: &str = "Run time without a checkpoint";
    if !Path::new(VALGRIND).exists() {
        return println!("### {HEADING}\n\nNot measured: valgrind is not installed.\n");
    }
    let mut table = Table::new([
        "10⁶ instructions",
        "plain",
        "preloaded",
        "preloaded / plain",
        "in libckpt itself",
    ]);
    for (name, counted) in PROGRAMS {
        let Some((plain, preloaded)) = counted(false).zip(counted(true)) else {
            println!("{name} is not measured: it is not installed.\n");
            continue;
        };
        table.row([
            name.to_owned(),
            in_millions(plain.all),
            in_millions(preloaded.all),
            ratio(preloaded.all, plain.all),
            percentage(preloaded.ours, preloaded.all),
        ]);
    }
    table.print(HEADING);
}

fn python3(preload: bool) -> Option<Count> {
    let run = Run::new("/usr/bin/python3", preload)?;
    Some(run.args([workload("compute.py")]).count(|| ()))
}

fn sqlite3(preload: bool) -> Option<Count> {
    let run = Run::new("/usr/bin/sqlite3", preload)?;
    let script = File::open(workload("transaction.sql")).expect("the workload is there");
    Some(run.args([":memory:"]).stdin(script).count(|| ()))
}

fn redis_server(preload: bool) -> Option<Count> {
    let port = free_port();
    let run = Run::new("/usr/bin/redis-server", preload)?
        .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
        // What it does from time to time is as little as possible.
        .args(["--save", "", "--hz", "1", "--dynamic-hz", "no"]);
    Some(run.count(|| {
        let mut server = until("the server to listen", || {
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        for request in 0..REQUESTS {
            let text = format!("SET key:{} {request}\r\n", request % 1000);
            server.write_all(text.as_bytes()).expect("it listens");
            let mut reply = [0; 5];
            server.read_exact(&mut reply).expect("it replies");
            assert_eq!(&reply, b"+OK\r\n");
        }
        server
            .write_all(b"SHUTDOWN NOSAVE\r\n")
            .expect("it listens");
    }))
}

/// Instructions of a run.
#[derive(Clone, Copy, Default)]
struct Count {
    all: u64,
    /// Those of them that are libckpt's own code.
    ours: u64,
}

/// A program under callgrind.
struct Run {
    command: Command,
    place: Place,
}

/// The file that callgrind writes.
const COUNTS: &str = "counts";

impl Run {
    /// `None` if there is no such program.
    fn new(program: &str, preload: bool) -> Option<Self> {
        if !Path::new(program).exists() {
            return None;
        }
        let place = place("run");
        let mut counts = "--callgrind-out-file=".to_owned();
        counts += place.file(COUNTS).to_str().expect("a plain name");
        // An environment of another size shifts the stack; so the plain program gets a variable of the same length that
        // nobody reads.
        let name = if preload { "LD_PRELOAD" } else { "NO_PRELOAD" };
        let mut command = Command::new(VALGRIND);
        command
            .args([
                "--tool=callgrind",
                "--compress-strings=no",
                "--compress-pos=no",
            ])
            .args([&counts, "--", program])
            .env_clear()
            .env(name, libckpt())
            // Hashes, and with them the work, are random otherwise.
            .env("PYTHONHASHSEED", "0")
            .current_dir(place.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Some(Self { command, place })
    }

    fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.command.args(args);
        self
    }

    fn stdin(mut self, file: File) -> Self {
        self.command.stdin(file);
        self
    }

    /// Runs it, and does `meanwhile` beside it.
    fn count(mut self, meanwhile: impl FnOnce()) -> Count {
        let mut child = self.command.spawn().expect("valgrind can be started");
        meanwhile();
        let status = child.wait().expect("it is our child");
        assert!(status.success(), "{:?}: {status}", self.command);
        let counts = fs::read_to_string(self.place.file(COUNTS)).expect("callgrind has written it");
        Count::of(&counts, libckpt().to_str().expect("a plain name"))
    }
}

impl Count {
    /// Adds up what callgrind has written ("Callgrind Format Specification" in Valgrind's manual): lines of a position and a
    /// count, behind one that says in which object they are. The line behind one with `calls=` is of what was called.
    fn of(counts: &str, library: &str) -> Self {
        let mut sum = Self::default();
        let (mut is_ours, mut is_called) = (false, false);
        for line in counts.lines() {
            if let Some(object) = line.strip_prefix("ob=") {
                is_ours = object == library;
            } else if line.starts_with("calls=") {
                is_called = true;
            } else if line.starts_with(|first: char| first.is_ascii_digit())
                && !take(&mut is_called)
            {
                let count = line
                    .split(' ')
                    .nth(1)
                    .and_then(|count| count.parse::<u64>().ok());
                let count = count.expect("a position and a count");
                sum.all += count;
                sum.ours += if is_ours { count } else { 0 };
            }
        }
        sum
    }
}

fn in_millions(count: u64) -> String {
    format!("{:.0}", number(count) / 1e6)
}

fn ratio(count: u64, to: u64) -> String {
    format!("{:.4}", number(count) / number(to))
}

fn percentage(count: u64, of: u64) -> String {
    format!("{:.3} %", 100.0 * number(count) / number(of))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a count is shown with few digits"
)]
fn number(count: u64) -> f64 {
    count as f64
}
