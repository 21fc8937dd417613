//! Signals that a thread sends to itself: libc asks for the ids of process and thread, and sends the signal to these. Where they have changed in
//! between, since the process was restored, it begins again.

use libc::{c_int, pthread_t};

interposed! {
    /// raise(3)
    fn raise(signal: c_int) -> c_int as next {
        let errno = libc::__errno_location();
        let before = *errno;
        loop {
            let result = next()(signal);
            if result == 0 || *errno != libc::ESRCH {
                return result;
            }
            *errno = before;
        }
    }

    /// pthread_kill(3)
    fn pthread_kill(thread: pthread_t, signal: c_int) -> c_int as next {
        loop {
            let result = next()(thread, signal);
            if result != libc::ESRCH || thread != libc::pthread_self() {
                return result;
            }
        }
    }
}
