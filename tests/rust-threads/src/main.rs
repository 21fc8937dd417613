//! A program on the threads of rayon and of tokio. Its argument says which: `rayon` sorts and adds up in parallel, `tokio`
//! passes messages between tasks that also sleep and block; what they find is printed in order. `deadlines` waits, on the
//! threads of the standard library.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Condvar};
use std::time::Duration;

use rayon::prelude::*;
use tokio::sync::{Mutex, Semaphore, mpsc};
use tokio::time::{Instant, interval, sleep, timeout};

const THREADS: usize = 4;

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("rayon") => in_parallel(),
        Some("tokio") => asynchronously(),
        Some("deadlines") => until_the_release(),
        _ => panic!("usage: rust-threads rayon|tokio|deadlines"),
    }
}

/// A step of a generator of numbers.
fn next(state: u64) -> u64 {
    state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407)
        .rotate_left(23)
}

/// What becomes of a number after many steps.
fn ground(mut state: u64, steps: u32) -> u64 {
    for _ in 0..steps {
        state = next(state);
    }
    state
}

fn in_parallel() {
    const STEPS: u64 = 400;
    const NUMBERS: u64 = 60_000;
    rayon::ThreadPoolBuilder::new()
        .num_threads(THREADS)
        .build_global()
        .expect("threads can be started");
    for step in 0..STEPS {
        let mut numbers: Vec<u64> = (0..NUMBERS)
            .into_par_iter()
            .map(|number| ground(step * NUMBERS + number, 40))
            .collect();
        numbers.par_sort_unstable();
        let (sum, texts) = rayon::join(
            || {
                numbers
                    .par_iter()
                    .fold(|| 0, |sum: u64, number| sum.wrapping_add(*number))
                    .reduce(|| 0, u64::wrapping_add)
            },
            || {
                numbers
                    .par_chunks(5000)
                    .map(|chunk| format!("{:x}", chunk[chunk.len() / 2]))
                    .collect::<Vec<_>>()
            },
        );
        println!("{step} {sum} {}", texts.join(" "));
    }
}

/// Takes numbers until there are no more, and says what they become.
async fn serve(
    mut requests: mpsc::Receiver<u64>,
    results: mpsc::Sender<(u64, u64)>,
    permits: Arc<Semaphore>,
) {
    while let Some(number) = requests.recv().await {
        let permit = permits
            .acquire()
            .await
            .expect("the semaphore is never closed");
        let result = match number % 16 {
            0 => {
                sleep(Duration::from_millis(1)).await;
                ground(number, 100)
            }
            1..4 => tokio::task::spawn_blocking(move || ground(number, 200_000))
                .await
                .expect("it does not panic"),
            _ => ground(number, 20_000),
        };
        drop(permit);
        results
            .send((number, result))
            .await
            .expect("somebody listens");
    }
}

fn asynchronously() {
    const STEPS: u64 = 40;
    const REQUESTS: u64 = 200;
    const SERVERS: u64 = 8;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_time()
        .build()
        .expect("threads can be started");
    let ticks = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&ticks);
    let _ticking = runtime.spawn(async move {
        let mut ticking = interval(Duration::from_millis(3));
        loop {
            ticking.tick().await;
            *counted.lock().await += 1;
        }
    });
    runtime.block_on(async {
        let permits = Arc::new(Semaphore::new(THREADS));
        let (sender, mut results) = mpsc::channel(16);
        let servers: Vec<_> = (0..SERVERS)
            .map(|_| {
                let (requests, receiver) = mpsc::channel(4);
                tokio::spawn(serve(receiver, sender.clone(), Arc::clone(&permits)));
                requests
            })
            .collect();
        for step in 0..STEPS {
            let start = Instant::now();
            let requests = servers.clone();
            tokio::spawn(async move {
                for number in step * REQUESTS..(step + 1) * REQUESTS {
                    let server = &requests[usize::try_from(number % SERVERS).expect("small")];
                    server.send(number).await.expect("somebody listens");
                }
            });
            let mut found = BTreeMap::new();
            for _ in 0..REQUESTS {
                let (number, result) = timeout(Duration::from_secs(60), results.recv())
                    .await
                    .unwrap_or_else(|_| panic!("nothing came for {:?}", start.elapsed()))
                    .expect("somebody answers");
                found.insert(number, result);
            }
            let sum = found
                .values()
                .fold(0, |sum: u64, result| sum.wrapping_add(*result));
            println!(
                "{step} {} {sum:x} {:?}",
                found.len(),
                found.last_key_value()
            );
        }
        assert!(*ticks.lock().await > 0, "the timer did not tick");
    });
}

/// Waits for times until the release: no wait ends before its time or long after it.
fn until_the_release() {
    const LATE: Duration = Duration::from_secs(100);
    let stop = Arc::new((std::sync::Mutex::new(false), Condvar::new()));
    let wait = |stop: &(std::sync::Mutex<bool>, Condvar), duration: Duration| {
        loop {
            let begin = std::time::Instant::now();
            let guard = stop.0.lock().expect("nobody panics");
            let (ended, result) = stop.1.wait_timeout(guard, duration).expect("nobody panics");
            if *ended {
                return;
            }
            let waited = begin.elapsed();
            let is_late = waited > duration + LATE;
            let is_early = result.timed_out() && waited < duration;
            if is_late || is_early {
                eprintln!("waited for {waited:?} instead of {duration:?}");
                std::process::exit(1);
            }
        }
    };
    let threads: Vec<_> = [200, 3000]
        .map(Duration::from_millis)
        .into_iter()
        .map(|duration| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || wait(&stop, duration))
        })
        .collect();
    std::fs::create_dir("ready").expect("the directory is writable");
    while !Path::new("release").exists() {
        let _ = std::fs::remove_dir("ping");
        std::thread::park_timeout(Duration::from_millis(20));
    }
    *stop.0.lock().expect("nobody panics") = true;
    stop.1.notify_all();
    for thread in threads {
        thread.join().expect("nobody panics");
    }
    std::process::exit(42);
}
