//! Waiting for what another process does.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// Machines are slow and loaded: this only ends tests that would never end.
const DEADLINE: Duration = Duration::from_secs(120);

/// Looks again and again until `look` finds something.
///
/// # Panics
/// If it finds nothing for two minutes.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            start.elapsed() < DEADLINE,
            "waited {DEADLINE:?} in vain: {what}"
        );
        sleep(Duration::from_millis(2));
    }
}
