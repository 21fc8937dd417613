//! Signals that the program sends to threads of its own: libc looks up the ids of process and thread, and sends the signal to these. If they are
//! others by then, since the process was restored in between, it begins again.

use libc::{c_int, pthread_t, sigval};

use crate::{handlers, resume};

interposed! {
    /// raise(3)
    fn raise(signal: c_int) -> c_int as next {
        let errno = libc::__errno_location();
        let before = *errno;
        unless_restored_meanwhile(|| {
            *errno = before;
            next()(signal)
        }, |result| result != 0 && *errno == libc::ESRCH)
    }

    /// pthread_kill(3)
    fn pthread_kill(thread: pthread_t, signal: c_int) -> c_int as next {
        unless_restored_meanwhile(|| next()(thread, signal), is_nobody)
    }

    /// pthread_sigqueue(3)
    fn pthread_sigqueue(thread: pthread_t, signal: c_int, value: sigval) -> c_int as next {
        unless_restored_meanwhile(|| next()(thread, signal, value), is_nobody)
    }

    /// pthread_cancel(3)
    fn pthread_cancel(thread: pthread_t) -> c_int as next {
        let result = unless_restored_meanwhile(|| next()(thread), is_nobody);
        if result == 0 {
            handlers::cancel_rest(|| resume::tid_of(thread));
        }
        result
    }
}

/// Makes a call, once more if it has found nobody and the process was restored since it began; what it returns at last.
fn unless_restored_meanwhile(
    mut call: impl FnMut() -> c_int,
    has_found_nobody: impl Fn(c_int) -> bool,
) -> c_int {
    loop {
        let generation = resume::generation();
        let result = call();
        if !has_found_nobody(result) || resume::generation() == generation {
            return result;
        }
    }
}

/// What these functions return then.
fn is_nobody(result: c_int) -> bool {
    result == libc::ESRCH
}
