//! A checkpoint never hurts the program, whatever is wrong with the place where it goes.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use ckpt_tests::{
    CHECKPOINT_SIGNAL, Launch, Missing, Mount, Output, Place, Process, Program, Restart, libckpt,
    not_run, restorer, tool, until,
};

/// Asserts that the checkpoint is refused with a word in the line, and that nothing is left of it.
fn assert_refused(process: &mut Process, place: &Place, word: &str) {
    let before = place.bytes("myckpt");
    let line = process
        .try_checkpoint("myckpt")
        .expect_err("the checkpoint must be refused");
    assert!(line.contains(word), "{word} is not in: {line}");
    assert!(
        place.bytes("myckpt") == before,
        "the earlier image was touched"
    );
    assert_eq!(place.leftovers(), [""; 0]);
}

fn assert_unharmed(mut process: Process, place: &Place) {
    place.release();
    assert_eq!(process.wait().code(), Some(42), "{}", place.text("err"));
}

/// Sends the signal and waits until the image is there, for programs whose standard error tells nothing.
fn checkpoint_in_silence(process: &mut Process, place: &Place) {
    process.wait_until_armed();
    process.signal(CHECKPOINT_SIGNAL);
    until("the image", || place.file("myckpt").exists().then_some(()));
}

#[test]
fn a_read_only_directory() {
    let place = Place::of_nobody("read-only");
    let mut process = Program::compile("plain.c")
        .launch()
        .as_nobody()
        .start(&place);
    process.wait_until_ready();
    process.checkpoint();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o555)).expect("it is ours");
    assert_refused(&mut process, &place, "EACCES");
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
    assert_unharmed(process, &place);
}

/// A cpuset with nothing but the first processor, until it is dropped.
struct Cpuset(PathBuf);

impl Cpuset {
    /// `None` where there are none to be made, or only one processor.
    fn make() -> Option<Self> {
        let tree = ["/sys/fs/cgroup/cpuset", "/sys/fs/cgroup"].map(Path::new);
        let tree = tree
            .iter()
            .find(|tree| tree.join("cgroup.procs").exists())?;
        let path = tree.join(["ckpt-test", &std::process::id().to_string()].join("-"));
        fs::create_dir(&path).ok()?;
        let new = Self(path);
        fs::write(new.0.join("cpuset.mems"), "0").ok()?;
        fs::write(new.0.join("cpuset.cpus"), "0").ok()?;
        let several = std::thread::available_parallelism().is_ok_and(|count| count.get() > 1);
        several.then_some(new)
    }

    fn put(&self, process: &Process) {
        fs::write(self.0.join("cgroup.procs"), process.pid().to_string()).expect("it is ours");
    }
}

impl Drop for Cpuset {
    fn drop(&mut self) {
        until("the cpuset to be empty", || fs::remove_dir(&self.0).ok());
    }
}

/// As a batch system has them: the next allocation may have other processors.
#[test]
fn in_a_cpuset() {
    let Some(cpuset) = Cpuset::make() else {
        return not_run(
            "in_a_cpuset",
            "there is no cpuset to be made, or one processor",
        );
    };
    let taskset = tool("in_a_cpuset", "taskset");
    let ours = allowed_processors(std::process::id());
    for by_itself in [None, taskset] {
        let place = Place::new("cpuset");
        let program = Program::compile("plain.c");
        let launch = match &by_itself {
            None => program.launch(),
            Some(taskset) => Launch::under_libckpt(taskset)
                .args(["-c", "0"])
                .arg(program.path()),
        };
        let mut process = launch.start(&place);
        process.wait_until_ready();
        if by_itself.is_none() {
            cpuset.put(&process);
        }
        let before = allowed_processors(process.pid());
        assert_ne!(before, ours);
        process.checkpoint();
        process.kill();
        let mut restored = Launch::restorer(Restart::Eager.options())
            .arg("myckpt")
            .start(&place);
        restored.wait_for_a_sign_of_life();
        let expected = if by_itself.is_none() { &ours } else { &before };
        assert_eq!(allowed_processors(restored.pid()), *expected);
        assert_unharmed(restored, &place);
    }
}

/// The processors that a process may use, as a list.
fn allowed_processors(pid: u32) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process is there");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    line.expect("every process has some").trim().to_owned()
}

/// As under Docker's usual filter, on kernels before 6.10.
#[test]
fn where_descriptors_cannot_be_compared() {
    let program = Program::compile("descriptors_alike.c");
    let (without_kcmp, kcmp) = Missing {
        call: libc::SYS_kcmp,
        argument: (2, 0),
        error: libc::EPERM,
    }
    .runner();
    let (without_query, query) = Missing {
        call: libc::SYS_fcntl,
        argument: (1, 1027), // F_DUPFD_QUERY (include/uapi/linux/fcntl.h)
        error: libc::EINVAL,
    }
    .runner();
    let place = Place::new("not-compared");
    let filtered = |launch: Launch| {
        let launch = launch.args(&kcmp).arg(without_query.path());
        launch.args(&query)
    };
    let launch = filtered(Launch::under_libckpt(without_kcmp.path()));
    let mut process = launch.arg(program.path()).start(&place);
    process.wait_until_ready();
    process.checkpoint();
    process.kill();
    let launch = filtered(Launch::plain(without_kcmp.path()));
    let mut restored = launch.arg(restorer()).arg("myckpt").start(&place);
    restored.wait_for_a_sign_of_life();
    assert_unharmed(restored, &place);
}

#[test]
fn a_main_thread_that_ends_when_it_is_to_stop() {
    let place = Place::new("main-ends");
    let program = Program::workload("main_ends_meanwhile.c");
    let mut process = Launch::under_libckpt(program.path()).start(&place);
    process.wait_until_ready();
    for _ in 0..3 {
        process.checkpoint();
        process.kill();
        process = Launch::restorer(Restart::Eager.options())
            .arg("myckpt")
            .start(&place);
        process.wait_until_armed();
    }
    assert_unharmed(process, &place);
}

#[test]
fn under_valgrind() {
    let Some(valgrind) = tool("under-valgrind", "valgrind") else {
        return;
    };
    let place = Place::new("under-valgrind");
    let program = Program::compile("plain.c");
    let launch = Launch::under_libckpt(&valgrind).args(["--quiet", "--error-exitcode=99"]);
    let mut process = launch.arg(program.path()).start(&place);
    process.wait_until_ready();
    assert_refused(&mut process, &place, "valgrind");
    assert_unharmed(process, &place);
}

/// What its handler called would be dispatched to the program, whose end that would be.
#[test]
fn a_program_that_dispatches_its_own_system_calls() {
    for by in ["prctl", "syscall"] {
        let place = Place::new(&["user-dispatch", by].join("-"));
        let program = Program::workload("user_dispatch.c");
        let mut process = Launch::under_libckpt(program.path()).arg(by).start(&place);
        process.wait_until_ready();
        for _ in 0..100 {
            process.signal(CHECKPOINT_SIGNAL);
            process.wait_for_a_sign_of_life();
        }
        let errors = place.text("err");
        assert_eq!(
            errors.lines().count(),
            1,
            "one line when it begins: {errors}"
        );
        assert!(errors.contains("PR_SET_SYSCALL_USER_DISPATCH"), "{errors}");
        assert!(!place.file("myckpt").exists(), "there is an image");
        assert_unharmed(process, &place);
    }
}

#[test]
fn a_missing_directory() {
    let place = Place::new("no-directory");
    let mut process = Program::compile("plain.c")
        .launch()
        .env("CKPT_FILE", "none/myckpt")
        .start(&place);
    process.wait_until_ready();
    assert_refused(&mut process, &place, "ENOENT");
    assert_unharmed(process, &place);
}

#[test]
fn a_full_file_system() {
    let place = Place::new("full");
    let Some(mount) = Mount::on(&place, "small", "size=1m") else {
        return not_run("a_full_file_system", "it takes root and the right to mount");
    };
    let program = Program::compile("big_heap.c");
    let mut process = program
        .launch()
        .env("CKPT_FILE", "small/myckpt")
        .start(&place);
    process.wait_until_ready();
    assert_refused(&mut process, &place, "ENOSPC");
    assert_eq!(mount.names(), 0, "something is left on the file system");
    assert_unharmed(process, &place);
}

#[test]
fn a_directory_that_cannot_be_synced() {
    let Some(strace) = tool("unsynced", "strace") else {
        return;
    };
    // File systems that cannot sync directories at all say so by EINVAL.
    for (error, is_named) in [("EIO", true), ("EINVAL", false)] {
        let place = Place::new("unsynced");
        let launch = Launch::plain(&strace)
            // The first one is that of the image itself.
            .arg(format!("--inject=fsync:error={error}:when=2"))
            .args(["--output=trace", "--env=CKPT_MODE=stop"])
            .arg(format!("--env=LD_PRELOAD={}", libckpt().display()))
            .args(["/bin/sh", "-c", "kill -USR2 $$; exit 42"]);
        let status = launch.start(&place).wait();
        let line = place.text("err");
        assert_eq!(status.code(), Some(42), "{line}");
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(line.starts_with("libckpt: wrote "), "{line}");
        let words = "; its directory could not be synced (input/output error (EIO)), so its name may be lost";
        assert_eq!(line.contains(words), is_named, "{line}");
        assert!(place.text("trace").contains("(INJECTED)"));
        let status = Launch::restorer(["--verify", "myckpt"])
            .start(&place)
            .wait();
        assert_eq!(status.code(), Some(0), "{}", place.text("restorer.err"));
    }
}

#[test]
fn a_limit_of_the_file_size() {
    let place = Place::new("file-size");
    let program = Program::compile("big_heap.c");
    let mut process = program
        .launch()
        .limit(libc::RLIMIT_FSIZE, 1 << 20)
        .start(&place);
    process.wait_until_ready();
    assert_refused(&mut process, &place, "ulimit -f");
    assert_unharmed(process, &place);
}

#[test]
fn the_target_is_a_directory() {
    let place = Place::new("is-directory");
    fs::create_dir(place.file("myckpt")).expect("a place is writable");
    let mut process = Program::compile("plain.c").start(&place);
    assert_refused(&mut process, &place, "myckpt");
    assert!(place.file("myckpt").is_dir());
    assert_unharmed(process, &place);
}

#[test]
fn the_target_is_a_file_that_is_no_image() {
    for content in ["precious", &"precious\n".repeat(10_000)] {
        let place = Place::new("foreign");
        place.write("myckpt", content);
        let mut process = Program::compile("plain.c").start(&place);
        assert_refused(&mut process, &place, "myckpt");
        assert_unharmed(process, &place);
    }
}

#[test]
fn the_target_is_a_symbolic_link() {
    let place = Place::new("link");
    place.write("precious", "precious");
    std::os::unix::fs::symlink("precious", place.file("myckpt")).expect("a place is writable");
    let mut process = Program::compile("plain.c").start(&place);
    // Replaced or refused, but what it leads to stays as it is.
    let _ = process.try_checkpoint("myckpt");
    assert_eq!(place.text("precious"), "precious");
    assert_unharmed(process, &place);
}

#[test]
fn standard_error_is_closed() {
    let place = Place::new("closed");
    let mut process = Program::compile("plain.c")
        .launch()
        .stderr(Output::Closed)
        .start(&place);
    checkpoint_in_silence(&mut process, &place);
    assert_unharmed(process, &place);
}

#[test]
fn standard_error_is_a_broken_pipe() {
    let place = Place::new("broken");
    let (reader, writer) = std::io::pipe().expect("there are pipes");
    let launch = Program::compile("plain.c")
        .launch()
        .stderr(Output::Descriptor(writer.into()));
    let mut process = launch.start(&place);
    drop(reader);
    checkpoint_in_silence(&mut process, &place);
    assert_unharmed(process, &place);
}

#[test]
fn standard_error_is_a_full_pipe() {
    let place = Place::new("full-pipe");
    let (_reader, writer) = std::io::pipe().expect("there are pipes");
    fill_up(&writer);
    let launch = Program::compile("plain.c")
        .launch()
        .stderr(Output::Descriptor(writer.into()));
    let mut process = launch.start(&place);
    process.wait_until_ready();
    checkpoint_in_silence(&mut process, &place);
    assert_unharmed(process, &place);
}

/// Writes to a pipe until nothing more fits.
fn fill_up(writer: &std::io::PipeWriter) {
    use std::io::Write;
    use std::os::fd::AsRawFd;
    let set_flags = |flags: i32| {
        // SAFETY: the descriptor is open as long as `writer` lives.
        unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_SETFL, flags) };
    };
    set_flags(libc::O_NONBLOCK);
    let mut pipe = writer;
    while pipe.write(&[b'x'; 4096]).is_ok() {}
    while pipe.write(b"x").is_ok() {}
    set_flags(0);
}

#[test]
fn standard_error_is_a_data_file_of_the_program() {
    let place = Place::new("reused");
    let mut process = Program::compile("reused_standard_error.c").start(&place);
    checkpoint_in_silence(&mut process, &place);
    process.kill();
    place.release();
    let status = Launch::restorer(["myckpt"]).start(&place).wait();
    assert_eq!(status.code(), Some(42), "{}", place.text("restorer.err"));
    assert_eq!(place.text("data"), "first second");
}

#[test]
fn standard_error_is_a_terminal_that_hung_up() {
    let place = Place::new("hung-up");
    let (mut controller, mut terminal) = (-1, -1);
    let nothing = std::ptr::null_mut();
    // SAFETY: two valid pointers to integers; the others may be null.
    let opened = unsafe {
        libc::openpty(
            &raw mut controller,
            &raw mut terminal,
            nothing,
            nothing.cast(),
            nothing.cast(),
        )
    };
    assert_eq!(opened, 0);
    // SAFETY: both were just opened and have no other owner.
    let [controller, terminal] = [controller, terminal].map(|fd| unsafe { own(fd) });
    let launch = Program::compile("plain.c")
        .launch()
        .stderr(Output::Descriptor(terminal));
    let mut process = launch.start(&place);
    process.wait_until_ready();
    drop(controller);
    checkpoint_in_silence(&mut process, &place);
    assert_unharmed(process, &place);
}

/// # Safety
/// The descriptor is open and has no other owner.
unsafe fn own(descriptor: i32) -> OwnedFd {
    use std::os::fd::FromRawFd;
    // SAFETY: as the caller promises.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}

#[test]
fn killed_in_the_middle_of_writing() {
    let place = Place::new("middle");
    let program = Program::compile("big_heap.c");
    let mut first = program.start(&place);
    first.checkpoint();
    // Everything dies at once, the writer too, as at a power failure. Now and then the writer is faster.
    loop {
        let inode = || {
            fs::metadata(place.file("myckpt"))
                .map(|image| image.ino())
                .ok()
        };
        let old = inode();
        first.signal(CHECKPOINT_SIGNAL);
        until("the temporary file", || {
            (!place.leftovers().is_empty() || inode() != old).then_some(())
        });
        first.kill_group();
        if !place.leftovers().is_empty() {
            break;
        }
        first = program.start(&place);
        first.checkpoint();
    }
    let status = Launch::restorer(["--verify", "myckpt"])
        .start(&place)
        .wait();
    assert_eq!(status.code(), Some(0), "{}", place.text("restorer.err"));
    // A writer that was killed keeps its file locked until it is gone.
    until("the end of the writer", || {
        let leftover = place.leftovers().pop().expect("there is one");
        let file = fs::File::open(place.file(&leftover)).expect("it is ours");
        file.try_lock().ok()
    });
    // The next checkpoint removes what the dead one left.
    let mut second = program.start(&place);
    second.checkpoint();
    until("the leftover to go", || {
        place.leftovers().is_empty().then_some(())
    });
    assert_unharmed(second, &place);
}

/// The signal comes while another library's constructor runs: `main` has not begun.
#[test]
fn before_the_other_libraries_are_ready() {
    let place = Place::new("constructor");
    let (program, slow) = (
        Program::compile("plain.c"),
        Program::workload("slow_constructor.c"),
    );
    // Of two libraries that do not need each other, the loader calls the last one's constructor first.
    let both = format!("{}:{}", libckpt().display(), slow.path().display());
    let mut process = Launch::plain(program.path())
        .env("LD_PRELOAD", both)
        .start(&place);
    process.wait_until_ready();
    process.checkpoint();
    process.kill();
    let process = program.restore(&place, Restart::Eager);
    assert_unharmed(process, &place);
}

/// Functions of libc that may be called in signal handlers wait for nobody, also those that libckpt stands in front of.
#[test]
fn while_another_thread_keeps_the_loader_busy() {
    let place = Place::new("loader");
    let (program, slow) = (
        Program::workload("busy_loader.c"),
        Program::workload("slow_constructor.c"),
    );
    let mut process = Launch::under_libckpt(program.path())
        .arg(slow.path())
        .start(&place);
    assert_eq!(process.wait().code(), Some(42), "{}", place.text("err"));
}

/// A library that stands in front of libc as well, behind libckpt, sees all calls that it would see without libckpt, also of
/// functions of which libc has versions.
#[test]
fn beside_another_library_in_front_of_libc() {
    let place = Place::new("in_front");
    let (program, seen) = (
        Program::workload("waits_once.c"),
        Program::workload("waits_seen.c"),
    );
    let both = format!("{}:{}", libckpt().display(), seen.path().display());
    let mut process = Launch::plain(program.path())
        .env("LD_PRELOAD", both)
        .start(&place);
    assert_eq!(process.wait().code(), Some(0));
    let said = place.text("err");
    assert_eq!(said.lines().collect::<Vec<_>>(), ["locks", "waits"]);
}

/// Sanitizers do not like it when their functions are called before they are ready.
#[test]
fn in_a_program_with_a_sanitizer() {
    let place = Place::new("sanitizer");
    let program = Program::workload("leak_sanitizer.c");
    let mut process = Launch::under_libckpt(program.path()).start(&place);
    assert_eq!(process.wait().code(), Some(0));
    assert_eq!(place.text("err"), "");
}
