//! Images that are whole, with right checksums, and hold descriptors and objects behind them that cannot be: refused in one
//! line, before anything has happened.

mod forge;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use ckpt_image::note::Kind;
use ckpt_tests::{Launch, Place, Program, is_root, not_run, system_v};

use forge::forge;

const DAMAGED: i32 = 121;
const CANNOT_BE_MADE: i32 = 123;

/// Forges the note of an image of `program` and expects the exit code and one line with `words`.
fn assert_refused(
    program: &str,
    kind: Kind,
    edit: impl FnOnce(&mut Vec<u8>),
    code: i32,
    words: &str,
) {
    let place = Place::new("forged_objects");
    let mut process = Program::compile(program).start(&place);
    process.checkpoint();
    process.kill();
    place.release();
    place.write("forged", forge(&place.bytes("myckpt"), kind, edit));
    fs::set_permissions(place.file("forged"), fs::Permissions::from_mode(0o600))
        .expect("it is ours");
    let status = Launch::restorer(["forged"]).start(&place).wait();
    let said = place.text("restorer.err");
    assert_eq!(status.code(), Some(code), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains(words), "`{words}` is not in: {said}");
}

/// Behind version and flags, the records begin.
const FIRST: usize = 4;

#[test]
fn a_pipe_with_more_in_it_than_it_holds() {
    let capacity = FIRST + 16;
    let edit = |note: &mut Vec<u8>| note[capacity..capacity + 4].fill(0);
    // Its first pipe is empty, so the second one is the one that does not fit.
    let next = FIRST + 28;
    let both = |note: &mut Vec<u8>| {
        edit(note);
        note[next + 16..next + 20].fill(0);
    };
    assert_refused("pipe.c", Kind::Pipes, both, DAMAGED, "content of a pipe");
}

#[test]
fn a_pipe_that_is_not_there() {
    let edit = |note: &mut Vec<u8>| note.truncate(FIRST);
    assert_refused(
        "pipe.c",
        Kind::Pipes,
        edit,
        CANNOT_BE_MADE,
        "has no state in the image",
    );
}

#[test]
fn a_descriptor_that_epoll_cannot_watch() {
    let target = FIRST + 8;
    let nowhere = |note: &mut Vec<u8>| note[target] = 99;
    let words = "the target of an epoll entry";
    assert_refused("epoll.c", Kind::EpollEntries, nowhere, DAMAGED, words);
    let itself = |note: &mut Vec<u8>| note[target] = note[FIRST];
    let words = "cannot watch";
    assert_refused("epoll.c", Kind::EpollEntries, itself, CANNOT_BE_MADE, words);
}

#[test]
fn a_number_that_no_descriptor_has() {
    let number = FIRST + 4;
    let edit = |note: &mut Vec<u8>| note[number..number + 4].fill(0xff);
    assert_refused("epoll.c", Kind::EpollEntries, edit, DAMAGED, "epoll entry");
}

#[test]
fn what_is_no_epoll_instance_no_timer_or_no_descriptor_with_watches() {
    // Standard input in the place of the first record's descriptor.
    let edit = |note: &mut Vec<u8>| note[FIRST..FIRST + 4].fill(0);
    let words = "the instance of an epoll entry";
    assert_refused("epoll.c", Kind::EpollEntries, edit, DAMAGED, words);
    let words = "the descriptor of a timer";
    assert_refused("timerfd.c", Kind::TimerDescriptors, edit, DAMAGED, words);
    let words = "the descriptor of watches";
    assert_refused("inotify.c", Kind::Watchers, edit, DAMAGED, words);
}

#[test]
fn a_timer_of_a_clock_that_is_not_there() {
    let clock = FIRST + 4;
    let edit = |note: &mut Vec<u8>| note[clock..clock + 4].fill(0x7f);
    assert_refused(
        "timerfd.c",
        Kind::TimerDescriptors,
        edit,
        CANNOT_BE_MADE,
        "cannot be made again",
    );
}

#[test]
fn a_posix_timer_that_cannot_be() {
    let refused = |at: usize, value: u32, code: i32, words: &str| {
        let edit = |note: &mut Vec<u8>| {
            note[FIRST + at..FIRST + at + 4].copy_from_slice(&value.to_le_bytes());
        };
        assert_refused("posix_timer.c", Kind::PosixTimers, edit, code, words);
    };
    refused(0, u32::MAX, DAMAGED, "a POSIX timer");
    refused(0, 1 << 20, DAMAGED, "the order of the POSIX timers");
    refused(4, 77, CANNOT_BE_MADE, "cannot make one again");
    refused(
        4,
        (!4 << 3) | 6,
        CANNOT_BE_MADE,
        "a clock that is not there",
    );
    refused(8, 3, DAMAGED, "a POSIX timer");
    refused(12, 1, DAMAGED, "the thread of a POSIX timer");
    refused(16, 65, DAMAGED, "a POSIX timer");
    refused(60, 3, DAMAGED, "a POSIX timer");
}

#[test]
fn a_pseudo_terminal_that_is_not_there_or_too_full() {
    let none = |note: &mut Vec<u8>| note.truncate(FIRST);
    let program = "pseudo_terminal.c";
    let words = "has no state in the image";
    assert_refused(program, Kind::PseudoTerminals, none, CANNOT_BE_MADE, words);
    let full = |note: &mut Vec<u8>| {
        let (length, end) = (2_u32 << 20, FIRST + 16 + 12 + 16 + 20 + 8);
        note.truncate(end);
        note.extend(length.to_le_bytes());
        note.resize(note.len() + length as usize, b'x');
        note.extend(0_u32.to_le_bytes());
    };
    let words = "the content of a pseudo-terminal";
    assert_refused(program, Kind::PseudoTerminals, full, DAMAGED, words);
}

#[test]
fn a_watch_with_a_number_that_is_out_of_reach() {
    let number = FIRST + 12;
    let edit = |note: &mut Vec<u8>| note[number..number + 4].fill(0xff);
    assert_refused("inotify.c", Kind::Watchers, edit, DAMAGED, "a watch");
}

#[test]
fn a_file_in_memory_that_is_longer_than_can_be() {
    let size = FIRST + 32;
    let edit = |note: &mut Vec<u8>| note[size..size + 8].fill(0xff);
    assert_refused(
        "memfd.c",
        Kind::MemoryFiles,
        edit,
        DAMAGED,
        "a file in memory",
    );
}

#[test]
fn a_file_in_memory_that_is_mapped_and_not_there() {
    let none = |note: &mut Vec<u8>| note.truncate(FIRST);
    let content = "the content of a file without a name";
    assert_refused("memfd_mapped.c", Kind::MemoryFiles, none, DAMAGED, content);
    // The first one has a descriptor, the regions refer to all.
    let others = |note: &mut Vec<u8>| note[FIRST + 8..FIRST + 16].fill(0xee);
    let words = "the file of a region";
    assert_refused("memfd_mapped.c", Kind::MemoryFiles, others, DAMAGED, words);
}

#[test]
fn a_segment_of_shared_memory_that_cannot_be() {
    let words = "System V shared memory";
    let id = |note: &mut Vec<u8>| note[FIRST + 12] = 1;
    assert_refused("sysv_memory.c", Kind::Segments, id, DAMAGED, words);
    let device = |note: &mut Vec<u8>| note[FIRST] = 1;
    assert_refused("sysv_memory.c", Kind::Segments, device, DAMAGED, words);
    let size = FIRST + 36;
    let endless = |note: &mut Vec<u8>| note[size..size + 8].fill(0xff);
    assert_refused("sysv_memory.c", Kind::Segments, endless, DAMAGED, words);
    let empty = |note: &mut Vec<u8>| note[size..size + 8].fill(0);
    assert_refused("sysv_memory.c", Kind::Segments, empty, DAMAGED, words);
}

#[test]
fn a_message_queue_that_cannot_be() {
    let words = "a message queue";
    let capacity = FIRST + 28;
    let empty = |note: &mut Vec<u8>| note[capacity..capacity + 8].fill(0);
    let program = "message_queue_removed.c";
    assert_refused(program, Kind::MessageQueues, empty, DAMAGED, words);
    let endless = |note: &mut Vec<u8>| note[capacity + 8..capacity + 16].fill(0xff);
    assert_refused(program, Kind::MessageQueues, endless, DAMAGED, words);
    let other = |note: &mut Vec<u8>| note[FIRST + 8] ^= 1;
    let words = "has no state in the image";
    assert_refused(program, Kind::MessageQueues, other, CANNOT_BE_MADE, words);
}

#[test]
fn semaphores_and_messages_that_cannot_be() {
    let program = "sysv_semaphores.c";
    let words = "a set of System V semaphores";
    let negative = |note: &mut Vec<u8>| note[FIRST + 3] = 0x80;
    assert_refused(program, Kind::SemaphoreSets, negative, DAMAGED, words);
    let mode = |note: &mut Vec<u8>| note[FIRST + 9] = 0x80;
    assert_refused(program, Kind::SemaphoreSets, mode, DAMAGED, words);
    let length = FIRST + 24;
    let too_high = |note: &mut Vec<u8>| note[length + 5] = 0x80;
    assert_refused(program, Kind::SemaphoreSets, too_high, DAMAGED, words);
    let none = |note: &mut Vec<u8>| {
        note[length..length + 4].fill(0);
        note.truncate(length + 4);
    };
    assert_refused(program, Kind::SemaphoreSets, none, DAMAGED, words);
    let half = |note: &mut Vec<u8>| {
        note[length] = 5;
        note.truncate(length + 4 + 5);
    };
    assert_refused(program, Kind::SemaphoreSets, half, DAMAGED, words);
    let words = "a System V message queue";
    assert_refused(program, Kind::Queues, negative, DAMAGED, words);
    let words = "a message in a System V queue";
    let no_type = |note: &mut Vec<u8>| note[FIRST + 8..FIRST + 16].fill(0);
    assert_refused(program, Kind::QueuedMessages, no_type, DAMAGED, words);
    let short = |note: &mut Vec<u8>| {
        note[FIRST + 4] = 7;
        note.truncate(FIRST + 8 + 7);
    };
    assert_refused(program, Kind::QueuedMessages, short, DAMAGED, words);
    let words = "the queue of a message";
    let other = |note: &mut Vec<u8>| note[FIRST] ^= 1;
    assert_refused(program, Kind::QueuedMessages, other, DAMAGED, words);
}

#[test]
fn adjustments_that_cannot_be() {
    let program = "sysv_undo.c";
    let none = |note: &mut Vec<u8>| note[FIRST + 6..FIRST + 8].fill(0);
    let words = "the adjustment of a semaphore";
    assert_refused(program, Kind::Adjustments, none, DAMAGED, words);
    let words = "the semaphore of an adjustment";
    let behind = |note: &mut Vec<u8>| note[FIRST + 4] = 6;
    assert_refused(program, Kind::Adjustments, behind, DAMAGED, words);
    let other = |note: &mut Vec<u8>| note[FIRST] ^= 1;
    assert_refused(program, Kind::Adjustments, other, DAMAGED, words);
}

#[test]
fn messages_of_a_queue_that_is_gone_and_that_are_not_in_the_image() {
    if !is_root() {
        return not_run("no_messages", "the tests do not run as root");
    }
    let place = Place::new("no_messages");
    let mut process = Program::compile("sysv_semaphores.c").start(&place);
    process.checkpoint();
    process.kill();
    let none = |note: &mut Vec<u8>| note.truncate(FIRST);
    let image = forge(&place.bytes("myckpt"), Kind::QueuedMessages, none);
    place.write("forged", image);
    fs::set_permissions(place.file("forged"), fs::Permissions::from_mode(0o600))
        .expect("it is ours");
    system_v::remove(&place);
    let mut process = Launch::restorer(["forged"]).start(&place);
    process.wait_for_a_sign_of_life();
    let said = place.text("restorer.err");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("with it 3 messages"), "{said}");
}

#[test]
fn locks_that_are_not_there() {
    let edit = |note: &mut Vec<u8>| note[FIRST] = 9;
    let words = "what is locked in memory";
    assert_refused("memory_locked.c", Kind::FutureLocks, edit, DAMAGED, words);
    let twice = |note: &mut Vec<u8>| note.extend_from_within(FIRST..);
    let words = "the length of a note";
    assert_refused("memory_locked.c", Kind::FutureLocks, twice, DAMAGED, words);
}

#[test]
fn seals_that_are_not_there() {
    let seals = FIRST + 28;
    let edit = |note: &mut Vec<u8>| note[seals..seals + 4].fill(0x7f);
    let words = "cannot give files in memory their permissions, times and seals";
    assert_refused("memfd.c", Kind::MemoryFiles, edit, CANNOT_BE_MADE, words);
}

#[test]
fn an_owner_of_a_descriptor_that_cannot_be() {
    let words = "the owner of a descriptor";
    let whom = |note: &mut Vec<u8>| note[FIRST + 4] = 9;
    assert_refused("signal_driven.c", Kind::SignalOwners, whom, DAMAGED, words);
    let signal = |note: &mut Vec<u8>| note[FIRST + 12] = 65;
    assert_refused(
        "signal_driven.c",
        Kind::SignalOwners,
        signal,
        DAMAGED,
        words,
    );
    let nowhere = |note: &mut Vec<u8>| note[FIRST] = 99;
    let words = "the descriptor of an owner";
    assert_refused(
        "signal_driven.c",
        Kind::SignalOwners,
        nowhere,
        DAMAGED,
        words,
    );
}

#[test]
fn a_deleted_file_that_is_none_or_too_long() {
    let words = "a deleted file";
    let mode = FIRST + 16;
    let device = |note: &mut Vec<u8>| note[mode + 1] = 0x20;
    assert_refused("deleted_file.c", Kind::DeletedFiles, device, DAMAGED, words);
    let size = FIRST + 28;
    let endless = |note: &mut Vec<u8>| note[size..size + 8].fill(0xff);
    assert_refused(
        "deleted_file.c",
        Kind::DeletedFiles,
        endless,
        DAMAGED,
        words,
    );
}

#[test]
fn a_deleted_file_of_no_descriptor() {
    let edit = |note: &mut Vec<u8>| note[FIRST + 8..FIRST + 16].fill(0xee);
    let words = "has no state in the image";
    assert_refused(
        "deleted_file.c",
        Kind::DeletedFiles,
        edit,
        CANNOT_BE_MADE,
        words,
    );
}

#[test]
fn content_of_a_deleted_file_that_is_nowhere() {
    let words = "the content of a file without a name";
    let refused = |edit: &dyn Fn(&mut Vec<u8>)| {
        assert_refused("deleted_file.c", Kind::FileExtents, edit, DAMAGED, words);
    };
    let (file, length, offset, place) = (FIRST, FIRST + 4, FIRST + 8, FIRST + 16);
    refused(&|note| note[file] = 7);
    refused(&|note| note[length..length + 4].fill(0));
    refused(&|note| note[length..length + 4].fill(0xff));
    refused(&|note| note[offset..offset + 8].fill(0xff));
    refused(&|note| note[place + 4] = 1);
    let none = |note: &mut Vec<u8>| note.truncate(FIRST);
    assert_refused("deleted_file.c", Kind::DeletedFiles, none, DAMAGED, words);
}

#[test]
fn content_of_a_deleted_file_with_another_checksum() {
    let checksum = FIRST + 24;
    let edit = |note: &mut Vec<u8>| note[checksum] ^= 1;
    let words = "the checksum of its data is wrong";
    assert_refused("deleted_file.c", Kind::FileExtents, edit, DAMAGED, words);
}

#[test]
fn a_socket_in_a_state_that_is_not_there() {
    let edit = |note: &mut Vec<u8>| note[FIRST + 16] = 99;
    let words = "the state of a socket";
    assert_refused("socket_pair.c", Kind::Sockets, edit, DAMAGED, words);
}

#[test]
fn a_socket_of_a_family_that_is_not_there() {
    let edit = |note: &mut Vec<u8>| note[FIRST + 4] = 99;
    assert_refused("socket_pair.c", Kind::Sockets, edit, DAMAGED, "a socket");
}

#[test]
fn a_socket_whose_peer_is_itself_or_none() {
    let itself = |note: &mut Vec<u8>| note[FIRST + 20] = note[FIRST];
    assert_refused("socket_pair.c", Kind::Sockets, itself, DAMAGED, "a socket");
    let none = |note: &mut Vec<u8>| note[FIRST + 20] = 99;
    assert_refused("socket_pair.c", Kind::Sockets, none, DAMAGED, "a socket");
}

#[test]
fn a_message_to_nobody() {
    let edit = |note: &mut Vec<u8>| note[FIRST] = 99;
    let words = "a message in a socket";
    assert_refused("socket_pair.c", Kind::Messages, edit, DAMAGED, words);
}

#[test]
fn a_descriptor_in_flight_that_is_not_there() {
    let edit = |note: &mut Vec<u8>| note[FIRST] = 99;
    let words = "the number of a descriptor in flight";
    assert_refused("socket_rights.c", Kind::InFlight, edit, DAMAGED, words);
}
