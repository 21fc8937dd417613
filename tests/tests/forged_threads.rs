//! The restorer's part in bringing threads back, without libckpt's: an image of a program with one thread is given more of
//! them, and all begin in functions that the program has for that (`workloads/begin.c`).

mod forge;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use ckpt_image::context::{Context, Registers};
use ckpt_image::note::Kind;
use ckpt_image::wire::Encoder;
use ckpt_tests::{Launch, Output, Place, Program, is_root, not_run, tool};

use forge::{forge, number};

/// As in `begin.c`.
const SIBLINGS: usize = 1000;
const STACK: u64 = 4096;
const BLOCK: u64 = 128;
const SIGNAL: i32 = 40;

/// Where the note of signals has the number of those that are pending, and the size of a record of one.
const COUNT: usize = 4 + 2048;
const PENDING: usize = 4 + 128;

/// The program's exit status: all is well; and all threads have their old ids.
const SURVIVED: i32 = 42;
const ALL_OLD: i32 = 43;

/// Ids that no thread of these tests has, since the kernel deals them out in turn; and some that every kernel has, for a
/// PID namespace in which there are no others.
const UNUSED_IDS: Ids = Ids {
    pid: None,
    first: 3_000_000,
};
const IDS_OF_NAMESPACE: Ids = Ids {
    pid: Some(1),
    first: 20_000,
};

/// The ids that an image names.
#[derive(Clone, Copy)]
struct Ids {
    /// What takes the place of the process's own.
    pid: Option<i32>,
    /// What a sibling number 0 would have.
    first: i32,
}

/// Puts `forged` into the place, an image of the program with all its threads.
fn image(place: &Place, launch: Launch, ids: Ids) {
    let mut process = launch
        .arg(ids.pid.unwrap_or(0).to_string())
        .arg(ids.first.to_string())
        .stdout(Output::File("addresses"))
        .start(place);
    process.wait_until_ready();
    process.checkpoint();
    process.kill();
    let addresses = place.text("addresses");
    let addresses: Vec<u64> = addresses
        .split_whitespace()
        .map(|address| address.parse().expect("a number"))
        .collect();
    let &[main, sibling, stacks, blocks, words] = &addresses[..] else {
        panic!("{addresses:?}");
    };

    let mut image = place.bytes("myckpt");
    let pid = ids
        .pid
        .unwrap_or_else(|| i32::try_from(process.pid()).unwrap());
    let tid = |index: usize| match index {
        0 => pid,
        _ => ids.first + i32::try_from(index).unwrap(),
    };
    image = forge(&image, Kind::Header, |header| {
        header[12..16].copy_from_slice(&pid.to_le_bytes());
    });
    image = forge(&image, Kind::Context, |note| {
        note.truncate(4);
        for index in 0..=SIBLINGS {
            let begin = if index == 0 { main } else { sibling };
            let mut context = context(index as u64, tid(index), begin);
            let index = index as u64;
            context.registers.rsp = stacks + (index + 1) * STACK;
            context.frame = stacks + index * STACK;
            context.fs_base = blocks + index * BLOCK;
            let mut buffer = [0; 256];
            let mut to = Encoder::new(&mut buffer);
            to.put(&context).unwrap();
            note.extend(to.written());
        }
    });
    image = forge(&image, Kind::Signals, |note| {
        let of_the_program = note.len();
        // The kinds of signals alternate between the threads, as they do in a queue that is read.
        for (round, (signal, code)) in [(SIGNAL, -1), (SIGNAL, -1), (SIGNAL + 1, -6)]
            .into_iter()
            .enumerate()
        {
            for index in (3..=SIBLINGS).step_by(3) {
                let mut info = [0; 128];
                info[..4].copy_from_slice(&signal.to_le_bytes());
                info[8..12].copy_from_slice(&i32::to_le_bytes(code));
                info[16..20].copy_from_slice(&pid.to_le_bytes());
                info[24..28].copy_from_slice(&i32::try_from(round).unwrap().to_le_bytes());
                note.extend(tid(index).to_le_bytes());
                note.extend(info);
            }
        }
        let added = u32::try_from((note.len() - of_the_program) / PENDING).unwrap();
        assert_eq!(number(note, COUNT, 4), 0, "no signal was pending");
        note[COUNT..COUNT + 4].copy_from_slice(&added.to_le_bytes());
    });
    image = forge(&image, Kind::Owners, |note| {
        note.truncate(4);
        for index in 0..=SIBLINGS as u64 {
            note.extend((words + index * 4).to_le_bytes());
        }
    });
    place.write("forged", image);
    fs::set_permissions(place.file("forged"), fs::Permissions::from_mode(0o600))
        .expect("it is ours");
}

/// The thread number `index`, whose registers have values that the program knows.
fn context(index: u64, tid: i32, begin: u64) -> Context {
    let mut next = index * 1000;
    let mut value = || {
        next += 1;
        next - 1
    };
    let registers = Registers {
        r8: value(),
        r9: value(),
        r10: value(),
        r12: value(),
        r13: value(),
        r14: value(),
        r15: value(),
        rdi: value(),
        rsi: value(),
        rbp: value(),
        rbx: value(),
        rdx: value(),
        rax: value(),
        rcx: value(),
        r11: 0,
        rsp: 0,
        rip: begin,
        rflags: 0x246,
    };
    Context {
        tid,
        registers: Registers {
            rdi: index,
            ..registers
        },
        fs_base: 0,
        gs_base: 0,
        frame: 0,
    }
}

#[test]
fn a_thousand_threads_begin_with_all_that_is_theirs() {
    let place = Place::new("begin");
    let program = Program::workload("begin.c");
    image(&place, Launch::under_libckpt(program.path()), UNUSED_IDS);
    let mut process = Launch::restorer(["forged"]).start(&place);
    let status = process.wait();
    let said = place.text("restorer.err");
    assert_eq!(status.code(), Some(SURVIVED), "{status}: {said}");
    assert_eq!(said, "");
}

#[test]
fn a_plan_shows_the_threads() {
    let place = Place::new("begin_plan");
    let program = Program::workload("begin.c");
    image(&place, Launch::under_libckpt(program.path()), UNUSED_IDS);
    let mut process = Launch::restorer(["--plan", "forged"]).start(&place);
    assert_eq!(process.wait().code(), Some(0));
    let plan = place.text("restorer.out");
    assert!(plan.contains("create 1000 threads, 999 pending signals for them\n"));
    let jumps = plan.lines().filter(|line| line.contains(" jump "));
    assert_eq!(jumps.count(), SIBLINGS + 1);
    let noted = plan.lines().filter(|line| line.starts_with("note owner "));
    assert_eq!(noted.count(), SIBLINGS + 1);
}

/// A process that has its old id, as in a container of its own, has its threads' old ids, too.
#[test]
fn threads_have_their_old_ids_where_the_process_has() {
    const TEST: &str = "threads_have_their_old_ids_where_the_process_has";
    let Some(unshare) = tool(TEST, "unshare") else {
        return;
    };
    if !is_root() {
        return not_run(TEST, "the tests do not run as root");
    }
    let place = Place::new("begin_old");
    let program = Program::workload("begin.c");
    image(
        &place,
        Launch::under_libckpt(program.path()),
        IDS_OF_NAMESPACE,
    );
    let mut process = Launch::plain(unshare)
        .args(["--pid", "--fork", "--mount-proc"])
        .arg(ckpt_tests::restorer())
        .arg("forged")
        .start(&place);
    let status = process.wait();
    assert_eq!(status.code(), Some(ALL_OLD), "{}", place.text("err"));
}

#[test]
fn more_threads_than_are_allowed_here() {
    let place = Place::of_nobody("begin_limit");
    let program = Program::workload("begin.c");
    let launch = Launch::under_libckpt(program.path()).as_nobody();
    image(&place, launch, UNUSED_IDS);
    if is_root() {
        let nobody = Some(65534);
        std::os::unix::fs::chown(place.file("forged"), nobody, nobody)
            .expect("root gives files away");
    }
    let mut process = Launch::restorer(["forged"])
        .as_nobody()
        .limit(libc::RLIMIT_NPROC, 200)
        .start(&place);
    let status = process.wait();
    let said = place.text("restorer.err");
    assert_eq!(status.code(), Some(122), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    for word in ["1001", "EAGAIN", "ulimit -u", "pids.max"] {
        assert!(said.contains(word), "`{word}` is not in: {said}");
    }
}
