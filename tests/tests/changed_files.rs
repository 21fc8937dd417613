//! Files are not rolled back: what a restart does about those that have changed since the checkpoint.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use ckpt_tests::{Launch, Mount, Place, Program, is_root, not_run, tool, until};

/// A resource is missing or refused, as the README lists the exit codes.
const RESOURCE: Option<i32> = Some(123);
const SURVIVED: Option<i32> = Some(42);

/// A place where a program was checkpointed and killed, and waits for nothing any more.
fn killed(file: &str) -> Place {
    let place = Place::new("changed");
    let mut process = Program::compile(file).start(&place);
    process.checkpoint();
    process.kill();
    place.release();
    place
}

fn append(place: &Place, name: &str, content: &str) {
    let mut file = OpenOptions::new()
        .append(true)
        .open(place.file(name))
        .expect("it exists");
    file.write_all(content.as_bytes()).expect("it is writable");
}

/// The exit code of a restart, and what the restorer said.
fn restore(place: &Place, options: &[&str]) -> (Option<i32>, String) {
    let _ = fs::remove_file(place.file("restorer.err"));
    let status = Launch::restorer(options).arg("myckpt").start(place).wait();
    (status.code(), place.text("restorer.err"))
}

/// Refused with a line that names the object, unless the option lifts it.
fn assert_refused(place: &Place, name: &str) {
    let (code, said) = restore(place, &[]);
    assert_eq!(code, RESOURCE, "{said}");
    let refusals = said
        .lines()
        .filter(|line| !line.starts_with("restorer: warning: "));
    let refusals: Vec<&str> = refusals.collect();
    assert!(refusals.len() == 1 && refusals[0].contains(name), "{said}");
}

fn assert_allowed(place: &Place) {
    let (code, said) = restore(place, &["--allow-changed"]);
    assert_eq!(code, SURVIVED, "{said}{}", place.text("err"));
}

#[test]
fn an_output_that_has_grown_is_overwritten() {
    let place = killed("file_write.c");
    append(&place, "data", "sec");
    assert_eq!(restore(&place, &[]), (SURVIVED, String::new()));
    assert_eq!(place.text("data"), "first second");
}

#[test]
fn a_file_open_for_reading_that_has_changed_is_worth_a_warning() {
    let place = killed("file_read.c");
    append(&place, "data", "more");
    let (code, said) = restore(&place, &[]);
    assert_eq!(code, SURVIVED, "{said}");
    assert!(
        said.starts_with("restorer: warning: ") && said.contains("data"),
        "{said}"
    );
}

#[test]
fn a_file_open_for_appending_may_have_grown() {
    let place = killed("file_append.c");
    let size = place.bytes("data").len();
    append(&place, "data", "");
    assert_eq!(restore(&place, &[]).0, SURVIVED);
    assert_eq!(place.bytes("data").len(), size + 3);
}

#[test]
fn a_file_open_for_reading_and_writing_that_has_changed_is_refused() {
    let place = killed("file_opened_twice.c");
    append(&place, "data", "more");
    assert_refused(&place, "data");
    assert_allowed(&place);
}

#[test]
fn a_file_mapped_shared_and_writable_that_has_changed_is_refused() {
    let place = killed("shared_file_writable.c");
    append(&place, "data", "more");
    assert_refused(&place, "data");
    assert_allowed(&place);
}

#[test]
fn a_writable_file_that_is_another_one_now_is_refused() {
    let place = killed("file_write.c");
    fs::copy(place.file("data"), place.file("copy")).expect("a place is writable");
    fs::rename(place.file("copy"), place.file("data")).expect("a place is writable");
    assert_refused(&place, "data");
    assert_allowed(&place);
}

#[test]
fn a_private_mapping_is_restored_without_its_file() {
    for remove in [true, false] {
        let place = killed("private_file.c");
        fs::remove_file(place.file("data")).expect("it exists");
        if !remove {
            place.write("data", vec![1; 16 * 4096]);
        }
        let (code, said) = restore(&place, &[]);
        assert_eq!(code, SURVIVED, "{said}{}", place.text("err"));
    }
}

#[test]
fn a_program_is_restored_without_its_executable() {
    let place = Place::new("executable");
    let copy = place.file("program");
    fs::copy(Program::compile("malloc.c").path(), &copy).expect("a place is writable");
    let mut process = Launch::under_libckpt(&copy).start(&place);
    process.wait_until_ready();
    process.checkpoint();
    process.kill();
    fs::remove_file(copy).expect("it exists");
    place.release();
    let (code, said) = restore(&place, &[]);
    assert_eq!(code, SURVIVED, "{said}{}", place.text("err"));
}

/// A place with a program of its own that was checkpointed and killed with `CKPT_THIN`.
fn killed_thin() -> Place {
    let place = Place::new("thin");
    let program = place.file("program");
    fs::copy(Program::compile("malloc.c").path(), &program).expect("a place is writable");
    let mut process = Launch::under_libckpt(&program)
        .env("CKPT_THIN", "1")
        .start(&place);
    process.wait_until_ready();
    process.checkpoint();
    process.kill();
    place.release();
    place
}

#[test]
fn a_thin_image_takes_its_files_and_is_smaller() {
    let place = killed_thin();
    let blocks = |place: &Place| fs::metadata(place.file("myckpt")).map(|file| file.blocks());
    let (thin, whole) = (blocks(&place), blocks(&killed("malloc.c")));
    let (thin, whole) = (thin.expect("it exists"), whole.expect("it exists"));
    // libc alone has more than a megabyte of code.
    assert!(thin + (1 << 20) / 512 < whole, "{thin} and {whole} blocks");
    for options in [[].as_slice(), &["--lazy"]] {
        let (code, said) = restore(&place, options);
        assert_eq!(code, SURVIVED, "{said}{}", place.text("err"));
    }
}

#[test]
fn a_thin_image_is_refused_without_one_of_its_files() {
    let place = killed_thin();
    let (program, elsewhere) = (place.file("program"), place.file("elsewhere"));
    fs::rename(&program, &elsewhere).expect("it exists");
    let (code, said) = restore(&place, &[]);
    assert_eq!((code, said.lines().count()), (RESOURCE, 1), "{said}");
    for part in [
        "/program (left out of the image by CKPT_THIN)",
        "--file OLD=NEW",
    ] {
        assert!(said.contains(part), "{said}");
    }
    let [option, value] = moved(&place, "program", "elsewhere");
    assert_eq!(restore(&place, &[&option, &value]).0, SURVIVED);

    // A copy with the same times is as good, as on another machine; one without them may be anything.
    fs::copy(&elsewhere, &program).expect("a place is writable");
    let (code, said) = restore(&place, &[]);
    assert_eq!((code, said.lines().count()), (RESOURCE, 1), "{said}");
    assert!(said.contains("CKPT_THIN) has changed since"), "{said}");
    let modified = fs::metadata(&elsewhere).and_then(|file| file.modified());
    File::options()
        .write(true)
        .open(&program)
        .and_then(|file| file.set_modified(modified.expect("it has a time")))
        .expect("it is ours");
    assert_eq!(restore(&place, &[]).0, SURVIVED);
}

#[test]
fn an_open_file_that_is_gone_is_named() {
    for file in ["file_read.c", "file_write.c"] {
        let place = killed(file);
        fs::remove_file(place.file("data")).expect("it exists");
        assert_refused(&place, "data");
    }
}

/// `--file OLD=NEW` for two names in a place.
fn moved(place: &Place, old: &str, new: &str) -> [String; 2] {
    let (old, new) = (place.file(old), place.file(new));
    let value = format!("{}={}", old.display(), new.display());
    ["--file".to_owned(), value]
}

#[test]
fn files_that_have_moved_are_found_where_the_user_says() {
    for (file, name) in [
        ("file_read.c", "data"),
        ("file_opened_twice.c", "data"),
        ("file_append.c", "data"),
        ("directory.c", "inner"),
    ] {
        let place = killed(file);
        fs::rename(place.file(name), place.file("elsewhere")).expect("it exists");
        let (code, said) = restore(&place, &[]);
        assert_eq!(code, RESOURCE, "{said}");
        assert!(said.contains("--file OLD=NEW"), "{said}");
        let [option, value] = moved(&place, name, "elsewhere");
        let (code, said) = restore(&place, &[&option, &value]);
        assert_eq!(code, SURVIVED, "{file}: {said}{}", place.text("err"));
        assert!(!place.file(name).exists());
    }
}

#[test]
fn a_mapped_file_that_has_moved_is_found_where_the_user_says() {
    let place = killed("shared_file_writable.c");
    fs::create_dir(place.file("below")).expect("a place is writable");
    fs::rename(place.file("data"), place.file("below/data")).expect("it exists");
    let [option, value] = moved(&place, "data", "below/data");
    let (_, said) = restore(&place, &[&option, &value]);
    // The program opens it by its old name at its end, which fails; until then it has written to the new one.
    assert_eq!(said, "");
    let written = &place.bytes("below/data")[4096..8192];
    assert!(written != &vec![0; 4096][..]);
}

/// The kernel shows the names of mapped files in another way than those of open ones.
#[test]
fn a_mapped_file_of_an_odd_name_that_has_moved_is_found_where_the_user_says() {
    let name = "line\nbreak\\slash";
    let place = killed("shared_file_odd_name.c");
    fs::copy(place.file(name), place.file("elsewhere")).expect("it exists");
    fs::remove_file(place.file(name)).expect("it exists");
    let modified = || {
        let file = File::open(place.file("elsewhere")).expect("it exists");
        file.metadata()
            .and_then(|metadata| metadata.modified())
            .expect("every file has one")
    };
    let copied = modified();
    let [option, value] = moved(&place, name, "elsewhere");
    // What was copied has changed, but is not another file.
    let (code, said) = restore(&place, &[&option, &value]);
    assert_eq!(code, RESOURCE, "{said}");
    assert!(said.contains("has changed"), "{said}");
    let restored = restore(&place, &[&option, &value, "--allow-changed"]);
    assert_eq!(restored.0, SURVIVED, "{}{}", restored.1, place.text("err"));
    assert!(modified() > copied);
}

#[test]
fn a_file_that_is_said_to_have_moved_and_was_not_used_is_a_mistake() {
    let place = killed("file_read.c");
    let [option, value] = moved(&place, "date", "elsewhere");
    let (code, said) = restore(&place, &[&option, &value]);
    assert_eq!(code, Some(120), "{said}");
    assert!(said.contains("date") && said.lines().count() == 1, "{said}");
}

#[test]
fn all_that_is_missing_is_listed() {
    let place = killed("file_missing.c");
    for name in ["read", "written", "shared"] {
        fs::remove_file(place.file(name)).expect("it exists");
    }
    fs::remove_dir(place.file("directory")).expect("it exists");
    let (code, said) = restore(&place, &[]);
    assert_eq!(code, RESOURCE, "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    for name in ["read", "written", "shared", "directory"] {
        assert!(said.contains(&format!("/{name} (")), "{name}: {said}");
    }
}

#[test]
fn a_named_pipe_that_is_gone_or_something_else_is_named() {
    let place = killed("fifo.c");
    fs::remove_file(place.file("own")).expect("it exists");
    assert_refused(&place, "own");
    place.write("own", "a file");
    assert_refused(&place, "own");
    assert_eq!(place.text("own"), "a file");
}

#[test]
fn outputs_are_cut_back_on_demand() {
    let place = killed("file_write.c");
    append(&place, "data", "rest of what came");
    restore(&place, &[]);
    assert_eq!(place.text("data"), "first secondf what came");
    let place = killed("file_write.c");
    append(&place, "data", "rest of what came");
    let cut = restore(&place, &["--truncate"]);
    assert_eq!(cut, (SURVIVED, String::new()));
    assert_eq!(place.text("data"), "first second");
    let place = killed("file_append.c");
    let size = place.bytes("data").len();
    append(&place, "data", "what came");
    assert_eq!(restore(&place, &["--truncate"]).0, SURVIVED);
    assert_eq!(place.bytes("data").len(), size + 3);
}

#[test]
fn a_directory_that_is_gone_is_named() {
    for file in ["working_directory.c", "directory.c"] {
        let place = killed(file);
        fs::remove_dir_all(place.file("inner")).expect("it exists");
        assert_refused(&place, "inner");
        assert_refused(&place, "put them back, or use --file OLD=NEW");
    }
}

#[test]
fn a_file_without_permission_is_named() {
    if !is_root() {
        return not_run(
            "a_file_without_permission_is_named",
            "only root gives files away",
        );
    }
    let place = Place::of_nobody("permission");
    let mut process = Program::compile("file_read.c")
        .launch()
        .as_nobody()
        .start(&place);
    process.wait_until_ready();
    process.checkpoint();
    process.kill();
    chown(place.file("data"), Some(0), Some(0)).expect("root gives files away");
    fs::set_permissions(place.file("data"), fs::Permissions::from_mode(0o600))
        .expect("it is root's");
    let status = Launch::restorer(["myckpt"])
        .as_nobody()
        .start(&place)
        .wait();
    let said = place.text("restorer.err");
    assert_eq!(status.code(), RESOURCE, "{said}");
    assert!(
        said.contains("data") && said.contains("EACCES") && said.lines().count() == 1,
        "{said}"
    );
}

#[test]
fn a_lock_that_somebody_else_has_is_named() {
    let place = killed("lock_flock.c");
    let file = File::open(place.file("data")).expect("it exists");
    file.lock().expect("nobody has it");
    assert_refused(&place, "data");
    drop(file);
    assert_eq!(restore(&place, &[]), (SURVIVED, String::new()));
}

/// A deleted file is made again in its directory, or in `/tmp`; where nothing may be executed there, its code is memory without a file.
#[test]
fn code_of_a_deleted_file_where_nothing_may_be_executed() {
    let place = Place::new("no-execution");
    let Some(mount) = Mount::on(&place, "libraries", "mode=777") else {
        return not_run("no-execution", "it takes root and the right to mount");
    };
    let mut process = Program::compile("private_unnamed_code.c").start(&place);
    process.checkpoint();
    process.kill();
    mount.remount("noexec");
    place.release();
    let mut process = Launch::restorer(["myckpt"]).start(&place);
    assert_eq!(
        process.wait().code(),
        Some(42),
        "{}",
        place.text("restorer.err")
    );
}

/// Only what has a name can be found again.
#[test]
fn a_thin_image_has_what_files_without_a_name_hold() {
    for file in ["private_unnamed_file.c", "private_file_deleted.c"] {
        let place = Place::new(&["thin", file].join("-"));
        let mut process = Program::compile(file)
            .launch()
            .env("CKPT_THIN", "1")
            .start(&place);
        process.wait_until_ready();
        process.checkpoint();
        process.kill();
        place.release();
        let status = Launch::restorer(["myckpt"]).start(&place).wait();
        assert_eq!(status.code(), SURVIVED, "{}", place.text("restorer.err"));
    }
}

#[test]
fn a_directory_that_the_program_is_notified_of_is_told_of() {
    let place = Place::new("directory_notified");
    let mut process = Program::compile("directory_notified.c").start(&place);
    process.checkpoint();
    process.assert_told("F_NOTIFY", 1);
}

#[test]
fn a_large_file_that_makes_the_image_large_is_worth_a_hint() {
    let program = Program::workload("large_library.c");
    for thin in ["0", "1"] {
        let place = Place::new("hint");
        let mut process = Launch::under_libckpt(program.path())
            .env("CKPT_THIN", thin)
            .start(&place);
        process.wait_until_ready();
        process.checkpoint();
        let said = until("the line", || {
            let said = place.text("err");
            said.ends_with('\n').then_some(said)
        });
        assert_eq!(
            said.contains("CKPT_THIN=1 leaves that out"),
            thin == "0",
            "{said}"
        );
        process.kill();
        place.release();
        let (code, said) = restore(&place, &[]);
        assert_eq!(code, SURVIVED, "{said}");
    }
}

/// As on a network file system: the file has another name until the program has ended.
#[test]
fn files_that_were_deleted_in_use_where_the_client_hides_them() {
    const TEST: &str = "files_that_were_deleted_in_use_where_the_client_hides_them";
    let Some(bindfs) = tool(TEST, "bindfs") else {
        return;
    };
    let outside = Place::new("hidden");
    let Some(_mount) = Mount::by(&bindfs, &outside, "mounted") else {
        return not_run(TEST, "nothing can be mounted here");
    };
    let program = Program::workload("deleted_in_use.c");
    for thin in ["0", "1"] {
        let place = Place::below(&outside.file("mounted"), "hidden");
        let mut process = Launch::under_libckpt(program.path())
            .env("CKPT_THIN", thin)
            .start(&place);
        process.wait_until_ready();
        for _ in 0..3 {
            process.checkpoint();
            process.kill();
            process = Launch::restorer([""; 0]).arg("myckpt").start(&place);
            process.wait_for_a_sign_of_life();
        }
        place.release();
        let status = process.wait();
        assert_eq!(status.code(), SURVIVED, "{}", place.text("err"));
    }
}
