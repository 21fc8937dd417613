//! Settings of memory that the machine or a limit does not allow when a program is restored.

mod forge;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use ckpt_image::note::Kind;
use ckpt_tests::{Launch, Place, Program, is_root, not_run};

use forge::forge;

/// Restores the image `name`, and expects that the program goes on after warnings with these `words`, one after the other.
fn goes_on_with_warnings(place: &Place, restorer: Launch, words: &[&str]) {
    let mut process = restorer.start(place);
    process.wait_for_a_sign_of_life();
    process.kill();
    let said = place.text("restorer.err");
    let mut words = words.iter();
    for line in said.lines() {
        assert!(line.starts_with("restorer: warning: "), "{said}");
        assert!(line.ends_with("the program goes on without"), "{said}");
        let word = words.next().expect("a line for each word");
        assert!(line.contains(word), "`{word}` is not in: {line}");
    }
    assert_eq!(words.next(), None, "{said}");
}

#[test]
fn memory_that_may_not_be_locked_is_worth_a_warning() {
    const TEST: &str = "memory_that_may_not_be_locked_is_worth_a_warning";
    if !is_root() {
        // The limit of a user's own processes may be anything.
        return not_run(TEST, "the tests do not run as root");
    }
    let place = Place::of_nobody("not_locked");
    let program = Program::compile("memory_locked.c");
    let mut process = program
        .launch()
        .as_nobody()
        .limit(libc::RLIMIT_MEMLOCK, 8 << 20)
        .start(&place);
    process.wait_until_ready();
    process.checkpoint();
    process.kill();
    let restorer = Launch::restorer(["myckpt"])
        .as_nobody()
        .limit(libc::RLIMIT_MEMLOCK, 0);
    // At once, as far as it is used, where no page can be had, and what will be mapped.
    let words = [
        "cannot be locked: ",
        "cannot be locked: ",
        "cannot be locked: ",
        "cannot be locked (mlockall)",
    ];
    goes_on_with_warnings(&place, restorer, &words);
}

#[test]
fn memory_that_is_locked_again_is_worth_no_warning() {
    let place = Place::new("locked");
    let mut process = Program::compile("memory_locked.c").start(&place);
    process.checkpoint();
    process.kill();
    goes_on_with_warnings(&place, Launch::restorer(["myckpt"]), &[]);
}

#[test]
fn a_policy_for_nodes_that_are_not_there_is_worth_a_warning() {
    const TEST: &str = "a_policy_for_nodes_that_are_not_there_is_worth_a_warning";
    let program = Program::compile("memory_policies.c");
    if let Some(hindrance) = program.hindrance() {
        return not_run(TEST, &hindrance);
    }
    let place = Place::new("no_nodes");
    let mut process = program.start(&place);
    process.checkpoint();
    process.kill();
    let forged = forge(&place.bytes("myckpt"), Kind::MemoryPolicies, |note| {
        // Behind version, flags, two addresses and the mode: of 1024 nodes the last one only.
        let nodes = 4 + 8 + 8 + 4;
        note[nodes..nodes + 128].fill(0);
        note[nodes + 127] = 0x80;
    });
    place.write("forged", forged);
    fs::set_permissions(place.file("forged"), fs::Permissions::from_mode(0o600))
        .expect("it is ours");
    let restorer = Launch::restorer(["forged"]);
    goes_on_with_warnings(&place, restorer, &["cannot be given its memory policy"]);
}

/// The huge pages that the machine has set aside.
const SET_ASIDE: &str = "/proc/sys/vm/nr_hugepages";

/// Gives the machine as many as it had.
struct AsBefore(String);

impl Drop for AsBefore {
    fn drop(&mut self) {
        fs::write(SET_ASIDE, &self.0).expect("root sets pages aside");
    }
}

#[test]
fn huge_pages_of_which_none_are_left_are_named() {
    const TEST: &str = "huge_pages_of_which_none_are_left_are_named";
    let before = fs::read_to_string(SET_ASIDE).unwrap_or_default();
    if !is_root() || before.is_empty() {
        return not_run(TEST, "nobody but root sets huge pages aside");
    }
    let _as_before = AsBefore(before);
    if fs::write(SET_ASIDE, "32").is_err() {
        return not_run(TEST, "this machine lets nobody set huge pages aside");
    }
    let program = Program::compile("huge_pages_set_aside.c");
    if let Some(hindrance) = program.hindrance() {
        return not_run(TEST, &hindrance);
    }
    let place = Place::new("no_huge_pages");
    let mut process = program.start(&place);
    process.checkpoint();
    process.kill();
    fs::write(SET_ASIDE, "0").expect("as above");
    let status = Launch::restorer(["myckpt"]).start(&place).wait();
    let said = place.text("restorer.err");
    assert_eq!(status.code(), Some(122), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    for word in ["cannot be had in huge pages", "vm.nr_hugepages"] {
        assert!(said.contains(word), "`{word}` is not in: {said}");
    }
}
