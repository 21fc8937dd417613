//! `docs/IMAGE.md` is true: its tables are read, and a real image is walked with them.

use std::collections::{BTreeMap, BTreeSet};

use ckpt_image::header::FORMAT;
use ckpt_image::note::Kind;
use ckpt_tests::terminal::Terminal;
use ckpt_tests::{Place, Program, not_run, tool, until};

/// How many bytes a field takes.
#[derive(Clone, Copy)]
enum Size {
    Fixed(usize),
    /// A 32-bit length and that many bytes.
    String,
}

/// The fields of a note, and those that are repeated up to its end.
#[derive(Default)]
struct Table {
    fixed: Vec<(String, Size)>,
    repeated: Vec<(String, Size)>,
}

fn document() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/IMAGE.md");
    std::fs::read_to_string(path).expect("the document is there")
}

/// A row of a table: name and size of a field.
fn field(line: &str) -> Option<(String, Size)> {
    let cells: Vec<&str> = line.split('|').map(str::trim).collect();
    let &[_, name, size, _, _] = &cells[..] else {
        return None;
    };
    let size = match (size, size.parse()) {
        ("n", _) => Size::String,
        (_, Ok(bytes)) => Size::Fixed(bytes),
        _ => return None,
    };
    Some((name.to_owned(), size))
}

/// The tables of the document, by the note's type.
fn tables() -> BTreeMap<u32, Table> {
    let text = document();
    let mut tables = BTreeMap::new();
    let mut current = None;
    let mut repeated = false;
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            let kind = heading.split_once(" 0x").expect("a heading has a type").1;
            let kind = u32::from_str_radix(kind, 16).expect("a type is a number");
            tables.insert(kind, Table::default());
            (current, repeated) = (Some(kind), false);
        } else if line.starts_with("## ") {
            current = None;
        } else if line.starts_with("Repeated") || line.starts_with("Then, repeated") {
            repeated = true;
        }
        let (Some(kind), Some(field)) = (current, field(line)) else {
            continue;
        };
        let table = tables.get_mut(&kind).expect("the heading made it");
        let fields = if repeated {
            &mut table.repeated
        } else {
            &mut table.fixed
        };
        fields.push(field);
    }
    tables
}

fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |value, &byte| value << 8 | u64::from(byte))
}

/// Takes the fields off the front of `content`.
fn take<'c>(content: &mut &'c [u8], fields: &[(String, Size)]) -> BTreeMap<String, &'c [u8]> {
    let mut values = BTreeMap::new();
    for (name, size) in fields {
        let length = match size {
            Size::Fixed(bytes) => *bytes,
            Size::String => {
                let (length, rest) = content.split_at(4);
                *content = rest;
                usize::try_from(number(length)).unwrap()
            }
        };
        let (value, rest) = content
            .split_at_checked(length)
            .unwrap_or_else(|| panic!("{name} does not fit"));
        *content = rest;
        values.insert(name.clone(), value);
    }
    values
}

/// Types and contents of the notes that are ours, of the image `file`.
fn notes(file: &[u8]) -> Vec<(u32, &[u8])> {
    let field = |at: usize, size: usize| usize::try_from(number(&file[at..at + size])).unwrap();
    assert_eq!(
        (field(16, 2), field(32, 8), field(64, 4)),
        (4, 64, 4),
        "a core file whose first segment has the notes"
    );
    let (offset, size) = (field(64 + 8, 8), field(64 + 32, 8));
    assert_eq!(offset + size, file.len(), "the notes end the file");
    let mut found = Vec::new();
    let mut at = offset;
    while at < file.len() {
        let (owner, content, kind) = (field(at, 4), field(at + 4, 4), field(at + 8, 4));
        let owner_at = at + 12;
        let content_at = owner_at + owner.next_multiple_of(4);
        if &file[owner_at..owner_at + owner] == b"CKPT\0" {
            found.push((
                u32::try_from(kind).unwrap(),
                &file[content_at..content_at + content],
            ));
        }
        at = content_at + content.next_multiple_of(4);
    }
    found
}

/// Programs in whose images all notes occur, taken together.
const PROGRAMS: &[&str] = &[
    "plain.c",
    "event_counter.c",
    "pipe.c",
    "deleted_file.c",
    "epoll.c",
    "timerfd.c",
    "signalfd.c",
    "signal_driven.c",
    "inotify.c",
    "memfd.c",
    "guard_pages.c",
    "memory_locked.c",
    "memory_policies.c",
    "sysv_memory.c",
    "sysv_semaphores.c",
    "sysv_undo.c",
    "message_queue_removed.c",
    "socket_rights.c",
    "socket_filter.c",
    "posix_timer.c",
    "pseudo_terminal.c",
    "mutex.c",
];

/// A program that takes a processor with protection keys, and the note that is only in its image.
const WITH_KEYS: (&str, Kind) = ("protection_keys.c", Kind::ProtectionKeys);

#[test]
fn the_document_is_about_this_version() {
    let version = format!("Version {FORMAT} of the format.");
    assert!(document().contains(&version), "{version}");
}

#[test]
fn the_document_describes_real_images() {
    let tables = tables();
    let mut seen = BTreeSet::new();
    let mut complete = true;
    let (with_keys, keys) = WITH_KEYS;
    for &file in PROGRAMS.iter().chain([&with_keys]) {
        let place = Place::new("image_format");
        let program = Program::compile(file);
        if let Some(hindrance) = program.hindrance() {
            not_run(file, &hindrance);
            if file == with_keys {
                seen.insert(keys as u32);
            } else {
                complete = false;
            }
            continue;
        }
        let mut process = program.start(&place);
        process.checkpoint();
        let file = place.bytes("myckpt");
        let kinds = walk(&file, &tables, process.pid(), &place);
        assert!(
            kinds.is_sorted_by(|first, second| first < second),
            "each note once, in the order of the document: {kinds:x?}"
        );
        seen.extend(kinds);
    }
    seen.extend(walk_image_of_a_terminal(&tables));
    assert!(
        tables.keys().eq(&seen) || !complete,
        "described: {:x?}, seen: {seen:x?}",
        tables.keys()
    );
}

#[test]
fn the_document_describes_containers() {
    let text = document();
    let (_, section) = text
        .split_once("\n## Compressed images\n")
        .expect("there is a section");
    let (section, _) = section.split_once("\n## ").expect("another one follows");
    let fields: Vec<(String, Size)> = section.lines().filter_map(field).collect();
    let place = Place::new("image_format");
    let launch = Program::compile("deleted_file.c").launch();
    let mut process = launch.env("CKPT_COMPRESS", "lz4").start(&place);
    process.wait_until_ready();
    process.checkpoint();
    let file = place.bytes("myckpt");
    let mut rest = &file[..];
    let values = take(&mut rest, &fields);
    assert_eq!(file.len() - rest.len(), 60, "{values:?}");
    assert_eq!(values["magic"], b"\x89CKPTLZ4");
    assert_eq!(number(values["version"]), 1);
    let mut part = |size: u64| {
        let (part, behind) = rest.split_at(usize::try_from(size).unwrap());
        rest = behind;
        part
    };
    let head = part(number(values["head_size"]));
    let data = part(number(values["data_size"]));
    let index = part(4 * number(values["blocks"]));
    let notes = part(number(values["notes_size"]));
    assert_eq!(rest, b"", "nothing follows");
    assert!(head.starts_with(b"\x7fELF"));
    let lengths = index.chunks(4).map(number);
    assert_eq!(lengths.sum::<u64>(), number(values["data_size"]));
    assert_eq!(data.len() as u64, number(values["data_size"]));
    // CHECKSUMS ends with the length of the image, and two sums.
    let image_size = &notes[notes.len() - 16..][..8];
    assert_eq!(image_size, values["image_size"]);
}

/// The same of an image of a program that has a terminal.
fn walk_image_of_a_terminal(tables: &BTreeMap<u32, Table>) -> Vec<u32> {
    let Some(program) = tool("image_format", "tmux").map(|_| Program::compile("plain.c")) else {
        return vec![0x434B_0051];
    };
    let place = Place::new("image_format");
    let terminal = Terminal::under_libckpt(&place, [80, 24], [program.path()]);
    // What has a handler before that is `env`.
    until("the program", || place.file("ready").exists().then_some(()));
    let pid = terminal.pid();
    terminal.freeze(pid);
    walk(&place.bytes("myckpt"), tables, pid.cast_unsigned(), &place)
}

/// Takes the notes of an image of the process `pid` apart; their types.
fn walk(file: &[u8], tables: &BTreeMap<u32, Table>, pid: u32, place: &Place) -> Vec<u32> {
    let notes = notes(file);
    let kinds = notes.iter().map(|&(kind, _)| kind).collect();
    for (kind, content) in notes {
        let (version_and_flags, mut rest) = content.split_at(4);
        assert_eq!(
            version_and_flags,
            [1, 0, 0, 0],
            "version and flags of {kind:#x}"
        );
        let table = tables
            .get(&kind)
            .unwrap_or_else(|| panic!("{kind:#x} is not described"));
        let values = take(&mut rest, &table.fixed);
        while !rest.is_empty() {
            assert!(
                !table.repeated.is_empty(),
                "{kind:#x} is longer than its table"
            );
            take(&mut rest, &table.repeated);
        }
        match kind {
            0x434B_0000 => {
                assert_eq!(number(values["format"]), u64::from(FORMAT));
                assert_eq!(number(values["pid"]), u64::from(pid));
            }
            0x434B_0002 => {
                assert_eq!(
                    values["directory"],
                    place
                        .path()
                        .canonicalize()
                        .unwrap()
                        .as_os_str()
                        .as_encoded_bytes()
                );
            }
            0x434B_00FF => assert_eq!(number(values["file_size"]), file.len() as u64),
            _ => {}
        }
    }
    kinds
}
