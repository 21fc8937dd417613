//! System V shared memory, semaphores and message queues that are not there any more, or not as they were, when a program is
//! restored.

use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ckpt_tests::{
    Launch, Output, Place, Process, Program, Restart, is_root, libckpt, not_run, restorer,
    system_v, tool,
};

/// A segment of shared memory: its id and its key.
#[derive(Clone, Copy)]
struct Segment {
    id: i32,
    key: i32,
}

/// Until this is dropped, no other test here makes a segment, a set or a queue: the kernel is told the id of the next one before it is made, and gives
/// away at once what was removed.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The segment that `process` has made.
fn segment_of(process: &Process) -> Segment {
    let list = fs::read_to_string("/proc/sysvipc/shm").expect("/proc is mounted");
    let mut segments = list.lines().skip(1).filter_map(|line| {
        let mut fields = line.split_whitespace();
        let (key, id) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        // Behind them come permissions, size and the creator.
        let creator: u32 = fields.nth(2)?.parse().ok()?;
        (creator == process.pid()).then_some(Segment { id, key })
    });
    segments.next().expect("there is one")
}

fn remove(id: i32) {
    // SAFETY: the command takes no struct.
    let result = unsafe { libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()) };
    assert_eq!(result, 0, "the segment was there");
}

/// The program, checkpointed and killed, and its segment.
fn killed(program: &Program, place: &Place) -> Segment {
    let mut process = program.start(place);
    process.checkpoint();
    let segment = segment_of(&process);
    process.kill();
    segment
}

fn assert_survives(program: &Program, place: &Place) {
    place.release();
    let status = program.restore(place, Restart::Eager).wait();
    let said = place.text("restorer.err") + &place.text("err");
    assert_eq!(status.code(), Some(42), "{said}");
}

#[test]
fn a_segment_that_is_gone_is_made_again() {
    let _others_wait = alone();
    let (place, program) = (
        Place::new("segment_gone"),
        Program::compile("sysv_memory_key.c"),
    );
    remove(killed(&program, &place).id);
    assert_survives(&program, &place);
}

#[test]
fn a_segment_that_nobody_has_gets_its_content_back() {
    let _others_wait = alone();
    let (place, program) = (
        Place::new("segment_changed"),
        Program::compile("sysv_memory_key.c"),
    );
    let segment = killed(&program, &place);
    // SAFETY: the segment has eight pages, and nobody else uses it.
    unsafe {
        let memory = libc::shmat(segment.id, std::ptr::null(), 0);
        assert_ne!(memory.addr(), usize::MAX, "it can be attached");
        memory.cast::<u8>().write_bytes(0xee, 8 * 4096 - 100);
        assert_eq!(libc::shmdt(memory), 0);
    }
    assert_survives(&program, &place);
}

#[test]
fn a_key_that_is_another_segments_now_is_named() {
    let _others_wait = alone();
    let (place, program) = (
        Place::new("segment_key"),
        Program::compile("sysv_memory_key.c"),
    );
    let segment = killed(&program, &place);
    remove(segment.id);
    // SAFETY: the call takes numbers.
    let other = unsafe { libc::shmget(segment.key, 4096, libc::IPC_CREAT | 0o600) };
    let status = program.restore(&place, Restart::Eager).wait();
    remove(other);
    let said = place.text("restorer.err");
    assert_eq!(status.code(), Some(123), "{said}");
    assert!(
        said.contains("has a key that is another segment's now"),
        "{said}"
    );
}

#[test]
fn a_segment_that_was_made_goes_again_if_the_restart_fails() {
    let _others_wait = alone();
    let (place, program) = (
        Place::new("segment_failed"),
        Program::compile("sysv_memory_key.c"),
    );
    let segment = killed(&program, &place);
    remove(segment.id);
    // What it begins with: the program fills it with numbers.
    let first = 7_806_831_264_735_756_412_u64.to_le_bytes();
    let mut image = place.bytes("myckpt");
    let at = image.windows(8).position(|bytes| bytes == first);
    image[at.expect("its content is in the image")] ^= 1;
    place.write("myckpt", image);
    let status = program.restore(&place, Restart::Eager).wait();
    let said = place.text("restorer.err");
    assert_eq!(status.code(), Some(121), "{said}");
    assert!(said.contains("the checksum of its data is wrong"), "{said}");
    // SAFETY: the call takes numbers.
    let found = unsafe { libc::shmget(segment.key, 0, 0) };
    assert_eq!(found, -1, "the segment is still there");
}

/// `sysv_semaphores.c`, checkpointed and killed.
fn killed_with_semaphores(place: &Place) -> Program {
    let program = Program::compile("sysv_semaphores.c");
    let mut process = program.start(place);
    process.checkpoint();
    process.kill();
    program
}

#[test]
fn semaphores_and_queues_that_are_gone_are_made_again_by_root() {
    let _alone = alone();
    if !is_root() {
        return not_run("sets_gone", "the tests do not run as root");
    }
    let place = Place::new("sets_gone");
    let program = killed_with_semaphores(&place);
    let before = (system_v::set(&place), system_v::queue(&place));
    assert!(before.0.is_some() && before.1.is_some());
    system_v::remove(&place);
    let mut process = program.restore(&place, Restart::Eager);
    process.wait_for_a_sign_of_life();
    assert_eq!((system_v::set(&place), system_v::queue(&place)), before);
    process.kill();
    // Now they are there, although not by who had made them at first.
    assert_survives(&program, &place);
    assert_eq!(place.text("restorer.err"), "");
}

#[test]
fn semaphores_that_are_still_there_are_left_as_they_are() {
    let _alone = alone();
    let place = Place::new("sets_in_use");
    let program = killed_with_semaphores(&place);
    let set = system_v::set(&place).expect("it outlives the program");
    // SAFETY: the commands take numbers.
    assert_eq!(unsafe { libc::semctl(set, 1, libc::SETVAL, 5) }, 0);
    let mut process = program.restore(&place, Restart::Eager);
    process.wait_for_a_sign_of_life();
    // SAFETY: as above.
    assert_eq!(unsafe { libc::semctl(set, 1, libc::GETVAL) }, 5);
    assert_eq!(place.text("restorer.err"), "");
}

#[test]
fn semaphores_that_are_gone_are_named_to_others() {
    let _alone = alone();
    let place = Place::of_nobody("sets_refused");
    let program = Program::compile("sysv_semaphores.c");
    let mut process = program.launch().as_nobody().start(&place);
    process.wait_until_ready();
    process.checkpoint();
    process.kill();
    system_v::remove(&place);
    let launch = Launch::restorer(["myckpt"]).as_nobody();
    let status = launch.start(&place).wait();
    let said = place.text("restorer.err");
    assert_eq!(status.code(), Some(123), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(
        said.contains("System V semaphores: the one with id"),
        "{said}"
    );
    assert!(said.contains("restore as root"), "{said}");
    assert_eq!(system_v::set(&place), None);
}

#[test]
fn semaphores_of_a_normal_user_are_made_again_by_root() {
    let _alone = alone();
    if !is_root() {
        return not_run("sets_of_nobody", "the tests do not run as root");
    }
    let place = Place::of_nobody("sets_of_nobody");
    let program = Program::compile("sysv_semaphores.c");
    let mut process = program.launch().as_nobody().start(&place);
    process.wait_until_ready();
    process.checkpoint();
    process.kill();
    system_v::remove(&place);
    place.release();
    let options = ["--any-owner", "myckpt"];
    let status = Launch::restorer(options).start(&place).wait();
    let said = place.text("restorer.err") + &place.text("err");
    assert_eq!(status.code(), Some(42), "{said}");
}

#[test]
fn semaphores_that_were_made_go_again_if_the_restart_fails() {
    let _alone = alone();
    if !is_root() {
        return not_run("sets_failed", "the tests do not run as root");
    }
    let place = Place::new("sets_failed");
    let program = killed_with_semaphores(&place);
    system_v::remove(&place);
    // SAFETY: the call takes numbers.
    let other = unsafe { libc::msgget(system_v::key(&place, b'q'), libc::IPC_CREAT | 0o600) };
    let status = program.restore(&place, Restart::Eager).wait();
    let said = place.text("restorer.err");
    assert_eq!(status.code(), Some(123), "{said}");
    assert!(said.contains("another one has its key now"), "{said}");
    assert_eq!(system_v::set(&place), None, "the set is still there");
    assert_eq!(
        system_v::queue(&place),
        Some(other),
        "the other one is gone"
    );
}

/// `sysv_undo.c`, checkpointed and killed, and its set, of which the kernel has undone everything.
fn killed_with_undone_semaphores(place: &Place) -> (Program, i32) {
    let program = Program::compile("sysv_undo.c");
    let mut process = program.start(place);
    process.checkpoint();
    process.kill();
    let set = system_v::set(place).expect("it outlives the program");
    assert_eq!(value(set, 0), 5);
    (program, set)
}

fn value(set: i32, semaphore: i32) -> i32 {
    // SAFETY: the command takes no struct.
    unsafe { libc::semctl(set, semaphore, libc::GETVAL) }
}

fn set_value(set: i32, semaphore: i32, value: i32) {
    // SAFETY: the command takes a number.
    let result = unsafe { libc::semctl(set, semaphore, libc::SETVAL, value) };
    assert_eq!(result, 0, "the set is there");
}

#[test]
fn what_is_undone_is_kept_in_semaphores_that_root_makes_again() {
    let _alone = alone();
    if !is_root() {
        return not_run("undo_gone", "the tests do not run as root");
    }
    let place = Place::new("undo_gone");
    let (program, _) = killed_with_undone_semaphores(&place);
    system_v::remove(&place);
    assert_survives(&program, &place);
}

#[test]
fn what_is_undone_when_the_restored_program_is_killed() {
    let _alone = alone();
    let place = Place::new("undo_killed");
    let (program, set) = killed_with_undone_semaphores(&place);
    let mut process = program.restore(&place, Restart::Eager);
    process.wait_for_a_sign_of_life();
    assert_eq!([value(set, 0), value(set, 1)], [2, 7]);
    process.kill();
    assert_eq!([value(set, 0), value(set, 1)], [5, 0]);
}

#[test]
fn semaphores_that_another_process_has_taken_are_named() {
    let _alone = alone();
    let place = Place::new("undo_refused");
    let (program, set) = killed_with_undone_semaphores(&place);
    let refused = |words: &str| {
        let status = program.restore(&place, Restart::Eager).wait();
        let said = place.text("restorer.err");
        assert_eq!(status.code(), Some(123), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.contains(words), "{words} is not in: {said}");
        place.write("restorer.err", "");
    };
    set_value(set, 2, 32_766);
    refused("another process has what the program had of it");
    assert_eq!(
        value(set, 0),
        5,
        "what the restorer had taken is there again"
    );
    set_value(set, 2, 32_767);
    set_value(set, 1, 32_767);
    refused("its value is too high");
    set_value(set, 1, 0);
    assert_survives(&program, &place);
}

#[test]
fn what_is_undone_and_the_kernel_has_no_memory_for() {
    let _alone = alone();
    let Some(strace) = tool("undo_fails", "strace") else {
        return;
    };
    // Only libckpt and the restorer make this call: libc makes another one.
    let traced = || {
        Launch::plain(&strace).args([
            "--daemonize",
            "--output=trace",
            "--inject=semop:error=ENOMEM",
        ])
    };
    let place = Place::new("undo_untold");
    let program = Program::compile("sysv_undo.c");
    let mut process = traced()
        .arg(format!("--env=LD_PRELOAD={}", libckpt().display()))
        .arg(program.path())
        .start(&place);
    process.wait_until_ready();
    let line = process.try_checkpoint("myckpt").expect_err("no memory");
    assert!(
        line.contains("the kernel does not tell what SEM_UNDO has to undo: out of memory"),
        "{line}"
    );
    place.release();
    assert_eq!(process.wait().code(), Some(42), "{}", place.text("err"));

    let place = Place::new("undo_fails");
    killed_with_undone_semaphores(&place);
    let restart = traced().arg(restorer()).arg("myckpt");
    let restart = restart.stderr(Output::File("restorer.err"));
    let status = restart.start(&place).wait();
    let said = place.text("restorer.err");
    assert_eq!(status.code(), Some(123), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(
        said.contains("what SEM_UNDO had to undo cannot be done again: out of memory"),
        "{said}"
    );
}
