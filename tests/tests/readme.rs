//! The README's tables name tests, and those tests exist.

use std::fs;
use std::path::Path;

/// The names in backticks in the last column of every table row that has one.
fn named_tests(readme: &str) -> Vec<String> {
    let table_with_tests = |line: &&str| line.starts_with('|') && line.ends_with('|');
    let mut names = Vec::new();
    let mut has_tests = false;
    for line in readme.lines() {
        if !table_with_tests(&line) {
            has_tests = false;
            continue;
        }
        let last = line
            .trim_matches('|')
            .rsplit('|')
            .next()
            .unwrap_or_default();
        if last.trim() == "test" {
            has_tests = true;
        } else if has_tests && !last.trim().starts_with("---") {
            let before = names.len();
            names.extend(last.split('`').skip(1).step_by(2).map(str::to_owned));
            assert!(names.len() > before, "no test in: {line}");
        }
    }
    names
}

#[test]
fn every_row_is_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("../README.md")).expect("the README is there");
    let names = named_tests(&readme);
    assert!(names.len() > 80, "the tables have not been found");
    for name in names {
        match name.split_once("::") {
            Some((file, function)) => {
                let text = fs::read_to_string(root.join("tests").join(file).with_extension("rs"))
                    .unwrap_or_else(|_| panic!("{name}: no such file"));
                assert!(
                    text.contains(&format!("fn {function}()")),
                    "{name}: no such test"
                );
            }
            None => {
                let exists = |extension| {
                    root.join("programs")
                        .join(&name)
                        .with_extension(extension)
                        .exists()
                };
                assert!(exists("c") || exists("cc"), "{name}: no such program");
            }
        }
    }
}

#[test]
fn every_program_is_in_the_tables() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("../README.md")).expect("the README is there");
    let names = named_tests(&readme);
    // Those that other tests use, and not because something survives in them.
    let tools = ["plain", "backtrace", "speak", "reused_standard_error"];
    for entry in fs::read_dir(root.join("programs")).expect("the programs are there") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_stem()
            .expect("a name")
            .to_str()
            .expect("a plain name")
            .to_owned();
        if path.extension().is_some_and(|extension| extension != "h")
            && !tools.contains(&name.as_str())
        {
            assert!(names.contains(&name), "{name} is not in the README");
        }
    }
}
