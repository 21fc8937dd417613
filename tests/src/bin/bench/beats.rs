//! What `workloads/beats.c` says of the times for which it stood still.

use std::thread::sleep;
use std::time::{Duration, Instant};

use ckpt_tests::Place;

use crate::figures::milliseconds;

/// Like `until`, for what is measured. The program writes down itself when it goes on, so looking seldom only disturbs less.
pub fn until_often<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            start.elapsed() < Duration::from_secs(120),
            "no sign of {what}"
        );
        sleep(Duration::from_millis(2));
    }
}

/// The times for which `beats.c` stood still, from when to when.
fn stops(place: &Place) -> Vec<(u64, u64)> {
    let text = place.text("out");
    text.split_inclusive('\n')
        .filter_map(|line| line.strip_suffix('\n')?.split_once(' '))
        .filter_map(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)))
        .collect()
}

/// The longest stop that ended after `time`, in milliseconds.
pub fn longest_stop(place: &Place, time: u64) -> Option<f64> {
    let later = stops(place).into_iter().filter(|stop| stop.1 > time);
    later.map(|(from, to)| between(from, to)).reduce(f64::max)
}

/// When the first stop that ended after `time` did so, in milliseconds after it.
pub fn end_of_stop(place: &Place, time: u64) -> Option<f64> {
    let first = stops(place).into_iter().find(|stop| stop.1 > time);
    first.map(|(_, end)| between(time, end))
}

fn between(from: u64, to: u64) -> f64 {
    milliseconds(Duration::from_nanos(to - from))
}
