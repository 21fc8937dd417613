//! A server that is checkpointed at random moments under the load of several clients, killed, and restored, again and
//! again: whatever it had acknowledged before a checkpoint is there after the restart, and nothing that was never asked for.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle, sleep};
use std::time::Duration;

use crate::launch::Launch;
use crate::place::Place;
use crate::process::Process;
use crate::random::Random;
use crate::trial::{ENDED_AT_CHECKPOINT, generations, rounds};
use crate::wait::until;

/// How many clients a server has at the same time: enough to keep several of its threads busy.
const CLIENTS: usize = 6;

/// How long it is under load at most between two checkpoints.
const LOAD: Duration = Duration::from_millis(300);

/// A connection to a server, over which a client takes one numbered step after the other.
pub trait Client: Sized + Send + 'static {
    /// Connects to a server on this machine.
    ///
    /// # Errors
    /// Those of the connection.
    fn connect(port: u16) -> io::Result<Self>;

    /// Whether the server has no other connection. What it had received over others may have to be done yet.
    ///
    /// # Errors
    /// Those of the connection.
    fn is_alone(&mut self) -> io::Result<bool>;

    /// The step that was taken last by client number `client`, over whatever connection; 0 if there was none.
    ///
    /// # Errors
    /// Those of the connection.
    fn last_step(&mut self, client: usize) -> io::Result<u64>;

    /// Takes a step.
    ///
    /// # Errors
    /// Those of the connection.
    fn take_step(&mut self, client: usize, step: u64) -> io::Result<()>;

    /// Looks at everything that the steps up to `last` have left behind, and panics if it is not as it must be.
    ///
    /// # Errors
    /// Those of the connection.
    fn verify(&mut self, client: usize, last: u64) -> io::Result<()>;
}

/// Looks at a server in its place, at its port, after the last step of each client.
type Look<'a> = dyn Fn(&Place, u16, &[u64]) + 'a;

/// What is started, and what its clients are.
pub struct Service<'a, C> {
    test: &'a str,
    launch: Box<dyn Fn(u16) -> Launch + 'a>,
    threads: u32,
    ends: bool,
    afterwards: Box<Look<'a>>,
    client: PhantomData<C>,
}

impl<C> fmt::Debug for Service<'_, C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Service")
            .field("test", &self.test)
            .finish_non_exhaustive()
    }
}

impl<'a, C: Client> Service<'a, C> {
    /// A server under libckpt that listens on a port of 127.0.0.1.
    #[must_use]
    pub fn new(test: &'a str, launch: impl Fn(u16) -> Launch + 'a) -> Self {
        Self {
            test,
            launch: Box::new(launch),
            threads: 1,
            ends: false,
            afterwards: Box::new(|_, _, _| ()),
            client: PhantomData,
        }
    }

    /// It has so many threads, or more, at each of its checkpoints.
    #[must_use]
    pub fn threads(mut self, threads: u32) -> Self {
        self.threads = threads;
        self
    }

    /// It writes files in place, so it is ended at each checkpoint: nothing changes until it is restored.
    #[must_use]
    pub fn ends_at_checkpoints(mut self) -> Self {
        self.ends = true;
        self
    }

    /// What else is to be looked at before the server is stopped, with its port and the last step of each client.
    #[must_use]
    pub fn afterwards(mut self, look: impl Fn(&Place, u16, &[u64]) + 'a) -> Self {
        self.afterwards = Box::new(look);
        self
    }

    /// Does all that [`rounds`] times.
    ///
    /// # Panics
    /// If an answer is another than it must be.
    pub fn run(&self) {
        let mut random = Random::new(self.test);
        for _ in 0..rounds() {
            let place = Place::new(self.test);
            let port = free_port();
            let mut process = self.start(&place, port);
            let mut bounds = vec![(0, 0); CLIENTS];
            for _ in 0..generations() {
                let load = Load::start::<C>(&mut process, port, &bounds);
                sleep(random.shorter_than(LOAD));
                let threads = process.threads();
                assert!(threads >= self.threads, "it has {threads} threads");
                let acknowledged = load.acknowledged();
                if self.ends {
                    self.end(&mut process, &load);
                } else {
                    process.checkpoint();
                    sleep(random.shorter_than(Duration::from_millis(30)));
                    load.expect_the_end();
                    process.kill();
                }
                bounds = load.join(acknowledged, self.ends);
                process = Launch::restorer(["myckpt"]).start(&place);
            }
            let steps = look::<C>(&mut process, port, &bounds);
            let steps: Vec<_> = steps.into_iter().map(|(_, last)| last).collect();
            (self.afterwards)(&place, port, &steps);
        }
    }

    fn start(&self, place: &Place, port: u16) -> Process {
        let launch = (self.launch)(port);
        if self.ends {
            launch.env("CKPT_AFTER", "exit").start(place)
        } else {
            launch.start(place)
        }
    }

    /// Lets the server end at a checkpoint.
    fn end(&self, process: &mut Process, load: &Load) {
        process.wait_until_armed();
        load.expect_the_end();
        process.signal(crate::CHECKPOINT_SIGNAL);
        let status = until("the end at a checkpoint", || {
            let refusals = process.refusals();
            assert!(refusals.is_empty(), "{}", refusals[0]);
            process.ended()
        });
        assert_eq!(status.code(), Some(ENDED_AT_CHECKPOINT), "{}", self.test);
    }
}

/// Connects each client anew, looks at all that it finds, and returns the connections with their last steps, which must be
/// within the bounds.
///
/// # Panics
/// If they are not, or something else is found than must be.
pub fn look<C: Client>(process: &mut Process, port: u16, bounds: &[(u64, u64)]) -> Vec<(C, u64)> {
    until("the end of earlier connections", || {
        assert_runs(process);
        let mut client = C::connect(port).ok()?;
        client.is_alone().ok()?.then_some(())
    });
    let clients = bounds.iter().enumerate();
    let looked = clients.map(|(number, &(least, most))| {
        until("a connection", || {
            assert_runs(process);
            let mut client = C::connect(port).ok()?;
            let last = client.last_step(number).ok()?;
            assert!(
                (least..=most).contains(&last),
                "client {number}: step {last} instead of {least} to {most}"
            );
            client.verify(number, last).ok()?;
            Some((client, last))
        })
    });
    looked.collect()
}

fn assert_runs(process: &mut Process) {
    if let Some(status) = process.ended() {
        panic!("the server has ended, {status}: {}", process.errors());
    }
}

/// A port on which nobody listens.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("there are free ports");
    listener.local_addr().expect("it is bound").port()
}

/// How far a client has come.
#[derive(Debug, Default)]
struct Progress {
    sent: AtomicU64,
    acknowledged: AtomicU64,
}

/// Clients at work, each in a thread of its own.
struct Load {
    threads: Vec<JoinHandle<()>>,
    progress: Arc<Vec<Progress>>,
    ending: Arc<AtomicBool>,
}

impl Load {
    fn start<C: Client>(process: &mut Process, port: u16, bounds: &[(u64, u64)]) -> Self {
        let clients = look::<C>(process, port, bounds);
        let progress: Arc<Vec<_>> = Arc::new(clients.iter().map(|_| Progress::default()).collect());
        let ending = Arc::new(AtomicBool::new(false));
        let threads = clients
            .into_iter()
            .enumerate()
            .map(|(number, (client, last))| {
                let (progress, ending) = (Arc::clone(&progress), Arc::clone(&ending));
                progress[number].sent.store(last, Ordering::SeqCst);
                progress[number].acknowledged.store(last, Ordering::SeqCst);
                thread::spawn(move || keep_busy(client, number, &progress[number], &ending))
            });
        Self {
            threads: threads.collect(),
            progress,
            ending,
        }
    }

    fn acknowledged(&self) -> Vec<u64> {
        let acknowledged = self.progress.iter();
        acknowledged
            .map(|client| client.acknowledged.load(Ordering::SeqCst))
            .collect()
    }

    /// From now on no client wonders if its connection ends.
    fn expect_the_end(&self) {
        self.ending.store(true, Ordering::SeqCst);
    }

    /// When the server has gone: from which to which step each client may have come in the image. What was acknowledged
    /// before a server that `ended` at its checkpoint is in the image, all of it.
    fn join(mut self, acknowledged: Vec<u64>, ended: bool) -> Vec<(u64, u64)> {
        for thread in self.threads.drain(..) {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
        let least = if ended {
            self.acknowledged()
        } else {
            acknowledged
        };
        let sent = self
            .progress
            .iter()
            .map(|client| client.sent.load(Ordering::SeqCst));
        least.into_iter().zip(sent).collect()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.expect_the_end();
    }
}

/// Takes steps until the server goes away.
fn keep_busy(mut client: impl Client, number: usize, progress: &Progress, ending: &AtomicBool) {
    loop {
        let step = progress.sent.fetch_add(1, Ordering::SeqCst) + 1;
        match client.take_step(number, step) {
            Ok(()) => progress.acknowledged.store(step, Ordering::SeqCst),
            Err(error) => {
                assert!(ending.load(Ordering::SeqCst), "client {number}: {error}");
                return;
            }
        }
    }
}
