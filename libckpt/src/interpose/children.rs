//! Children of the program, of which the kernel knows nothing any more when it has waited for them, or does not want to: a signal that one has sent
//! before may come later than that.

use libc::{c_int, id_t, idtype_t, pid_t, rusage, siginfo_t};

use super::claimed;

interposed! {
    /// fork(2)
    fn fork() -> pid_t as next {
        claimed::note_child(next()())
    }

    /// wait(2)
    fn wait(status: *mut c_int) -> pid_t as next {
        claimed::note_child(next()(status))
    }

    /// waitpid(2)
    fn waitpid(child: pid_t, status: *mut c_int, options: c_int) -> pid_t as next {
        claimed::note_child(next()(child, status, options))
    }

    /// wait3(2)
    fn wait3(status: *mut c_int, options: c_int, usage: *mut rusage) -> pid_t as next {
        claimed::note_child(next()(status, options, usage))
    }

    /// wait4(2)
    fn wait4(child: pid_t, status: *mut c_int, options: c_int, usage: *mut rusage) -> pid_t as next {
        claimed::note_child(next()(child, status, options, usage))
    }

    /// waitid(2)
    fn waitid(kind: idtype_t, id: id_t, info: *mut siginfo_t, options: c_int) -> c_int as next {
        let result = next()(kind, id, info, options);
        if result == 0 && !info.is_null() {
            claimed::note_child((*info).si_pid());
        }
        result
    }
}
