//! Which calls may be made again, and which must end, after a signal whose handler the program is not to notice.

use ckpt_image::clocks::{BOOTTIME, MONOTONIC};
use linux_raw_sys::general as n;

/// Where a call's time limit stands, by index of the argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// There is none that passes while the call waits: none at all, or a time of the clock.
    None,
    /// In the argument itself, in milliseconds; negative is for ever.
    Milliseconds(usize),
    /// In a struct timespec that the argument points to and the kernel only reads.
    Timespec(usize),
    /// In such a struct, and the kernel stores what is left into another one, if there is one.
    WithRemainder {
        /// What was asked for.
        request: usize,
        /// What is left.
        remainder: usize,
    },
    /// In a struct timespec (or timeval, in microseconds) in which the kernel itself stores what is left.
    InPlace {
        /// The argument that points to it.
        argument: usize,
        /// Nanoseconds per unit of its second field.
        unit: u64,
    },
}

/// `FUTEX_*` without its flags (include/uapi/linux/futex.h).
fn futex_command(arguments: &[u64; 6]) -> u32 {
    arguments[1] as u32 & !(n::FUTEX_PRIVATE_FLAG | n::FUTEX_CLOCK_REALTIME)
}

/// The time limit of a call that ends with `EINTR` after any handler, although nothing was done (signal(7)), whatever the
/// handler's flags; `None` for all others, above all for `close`, which has been done.
#[must_use]
pub fn never_restarted(number: u32, arguments: &[u64; 6]) -> Option<Limit> {
    Some(match number {
        n::__NR_nanosleep => Limit::WithRemainder {
            request: 0,
            remainder: 1,
        },
        n::__NR_clock_nanosleep if arguments[1] as u32 & n::TIMER_ABSTIME != 0 => Limit::None,
        n::__NR_clock_nanosleep => Limit::WithRemainder {
            request: 2,
            remainder: 3,
        },
        n::__NR_poll => Limit::Milliseconds(2),
        n::__NR_epoll_wait | n::__NR_epoll_pwait => Limit::Milliseconds(3),
        n::__NR_ppoll => Limit::InPlace {
            argument: 2,
            unit: 1,
        },
        n::__NR_pselect6 => Limit::InPlace {
            argument: 4,
            unit: 1,
        },
        n::__NR_select => Limit::InPlace {
            argument: 4,
            unit: 1000,
        },
        n::__NR_rt_sigtimedwait => Limit::Timespec(2),
        n::__NR_epoll_pwait2 | n::__NR_semtimedop => Limit::Timespec(3),
        n::__NR_io_getevents | n::__NR_io_pgetevents => Limit::Timespec(4),
        n::__NR_futex => match futex_command(arguments) {
            n::FUTEX_WAIT => Limit::Timespec(3),
            n::FUTEX_WAIT_BITSET | n::FUTEX_LOCK_PI | n::FUTEX_LOCK_PI2 => Limit::None,
            _ => return None,
        },
        // Those of sockets only where SO_RCVTIMEO or SO_SNDTIMEO is set; the time begins anew.
        n::__NR_read
        | n::__NR_readv
        | n::__NR_recvfrom
        | n::__NR_recvmsg
        | n::__NR_recvmmsg
        | n::__NR_accept
        | n::__NR_accept4
        | n::__NR_connect
        | n::__NR_write
        | n::__NR_writev
        | n::__NR_sendto
        | n::__NR_sendmsg
        | n::__NR_sendmmsg
        | n::__NR_pause
        | n::__NR_rt_sigsuspend
        | n::__NR_semop
        | n::__NR_msgrcv
        | n::__NR_msgsnd
        | n::__NR_futex_wait
        | n::__NR_futex_waitv => Limit::None,
        _ => return None,
    })
}

/// Where a call has the address of a time at which it ends, by index of the argument, and on which clock that is; `None` if it
/// ends at no time, or at one of a clock that does not count from a boot.
#[must_use]
pub fn deadline(number: u32, arguments: &[u64; 6]) -> Option<(usize, usize)> {
    let of_clock = |clock: u64| match clock as u32 {
        n::CLOCK_MONOTONIC => Some(MONOTONIC),
        n::CLOCK_BOOTTIME => Some(BOOTTIME),
        _ => None,
    };
    match number {
        n::__NR_clock_nanosleep if arguments[1] as u32 & n::TIMER_ABSTIME != 0 => {
            of_clock(arguments[0]).map(|clock| (2, clock))
        }
        n::__NR_futex if arguments[1] as u32 & n::FUTEX_CLOCK_REALTIME == 0 => {
            // FUTEX_LOCK_PI takes times of the other clock only.
            matches!(
                futex_command(arguments),
                n::FUTEX_WAIT_BITSET | n::FUTEX_WAIT_REQUEUE_PI | n::FUTEX_LOCK_PI2
            )
            .then_some((3, MONOTONIC))
        }
        n::__NR_futex_wait => of_clock(arguments[5]).map(|clock| (4, clock)),
        n::__NR_futex_waitv => of_clock(arguments[4]).map(|clock| (3, clock)),
        _ => None,
    }
}

/// Whether a call that the kernel makes again after a handler with `SA_RESTART` ends with `EINTR` after one without.
#[must_use]
pub fn ends_without_restart(number: u32, arguments: &[u64; 6]) -> bool {
    match number {
        n::__NR_fcntl => matches!(arguments[1] as u32, n::F_SETLKW | n::F_OFD_SETLKW),
        n::__NR_futex => matches!(
            futex_command(arguments),
            n::FUTEX_WAIT | n::FUTEX_WAIT_BITSET
        ),
        _ => matches!(
            number,
            n::__NR_read
                | n::__NR_readv
                | n::__NR_preadv
                | n::__NR_preadv2
                | n::__NR_write
                | n::__NR_writev
                | n::__NR_pwritev
                | n::__NR_pwritev2
                | n::__NR_recvfrom
                | n::__NR_recvmsg
                | n::__NR_recvmmsg
                | n::__NR_sendto
                | n::__NR_sendmsg
                | n::__NR_sendmmsg
                | n::__NR_accept
                | n::__NR_accept4
                | n::__NR_connect
                | n::__NR_wait4
                | n::__NR_waitid
                | n::__NR_flock
                | n::__NR_open
                | n::__NR_openat
                | n::__NR_mq_timedsend
                | n::__NR_mq_timedreceive
                | n::__NR_splice
                | n::__NR_tee
                | n::__NR_vmsplice
                | n::__NR_sendfile
                | n::__NR_getrandom
                | n::__NR_futex_wait
                | n::__NR_futex_waitv
        ),
    }
}

/// Whether two numbers mean the same wait with its limit in the same form: libc's function may use either.
#[must_use]
pub fn is_same_wait(one: u32, other: u32) -> bool {
    const FAMILIES: [[u32; 2]; 2] = [
        [n::__NR_nanosleep, n::__NR_clock_nanosleep],
        [n::__NR_epoll_wait, n::__NR_epoll_pwait],
    ];
    one == other
        || FAMILIES
            .iter()
            .any(|family| family.contains(&one) && family.contains(&other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_been_done_is_not_made_again() {
        for number in [n::__NR_close, n::__NR_rt_sigreturn, n::__NR_ioctl, 100_000] {
            assert_eq!(never_restarted(number, &[0; 6]), None);
            assert!(!ends_without_restart(number, &[0; 6]));
        }
    }

    #[test]
    fn a_futex_call_is_a_wait_or_not() {
        let arguments = |command: u32| [0, u64::from(command), 0, 0, 0, 0];
        let private = n::FUTEX_PRIVATE_FLAG;
        let wait = arguments(n::FUTEX_WAIT | private);
        assert_eq!(
            never_restarted(n::__NR_futex, &wait),
            Some(Limit::Timespec(3))
        );
        let bitset = arguments(n::FUTEX_WAIT_BITSET | private | n::FUTEX_CLOCK_REALTIME);
        assert_eq!(never_restarted(n::__NR_futex, &bitset), Some(Limit::None));
        let wake = arguments(n::FUTEX_WAKE | private);
        assert_eq!(never_restarted(n::__NR_futex, &wake), None);
        assert!(ends_without_restart(n::__NR_futex, &wait));
        assert!(!ends_without_restart(
            n::__NR_futex,
            &arguments(n::FUTEX_LOCK_PI)
        ));
    }

    #[test]
    fn a_time_of_the_clock_is_no_limit_that_passes() {
        let sleep = |flags| never_restarted(n::__NR_clock_nanosleep, &[0, flags, 0, 0, 0, 0]);
        assert_ne!(sleep(0), Some(Limit::None));
        assert_eq!(sleep(u64::from(n::TIMER_ABSTIME)), Some(Limit::None));
    }
}
