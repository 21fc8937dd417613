//! Other people's tools open an image as the ELF core that it is.

use std::path::Path;
use std::process::{Command, Output};

use ckpt_tests::{Place, Program, tool};

/// A place with an image of the program, taken when it is ready.
fn image(test: &str, program: &Program) -> Place {
    let place = Place::new(test);
    let mut process = program.start(&place);
    process.checkpoint();
    process.kill();
    place
}

fn run(tool: &Path, place: &Place, args: &[&str]) -> (String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(tool)
        .args(args)
        .current_dir(place.path())
        .output()
        .expect("the tool starts");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&stdout), text(&stderr));
    assert!(
        status.success(),
        "{}: {status}\n{out}\n{err}",
        tool.display()
    );
    (out, err)
}

#[test]
fn readelf_has_no_complaint() {
    let Some(readelf) = tool("readelf_has_no_complaint", "readelf") else {
        return;
    };
    let program = Program::compile("backtrace.c");
    let place = image("readelf", &program);
    let (out, err) = run(&readelf, &place, &["-hlnW", "myckpt"]);
    assert_eq!(err, "");
    assert!(!out.to_lowercase().contains("warning"), "{out}");
    for word in [
        "CORE (Core file)",
        "NT_PRSTATUS",
        "NT_PRPSINFO",
        "NT_AUXV",
        "NT_FILE",
        "NT_X86_XSTATE",
        "LOAD",
    ] {
        assert!(out.contains(word), "{word} is not in: {out}");
    }
}

#[test]
fn gdb_shows_the_stack_of_the_program() {
    let Some(gdb) = tool("gdb_shows_the_stack_of_the_program", "gdb") else {
        return;
    };
    let program = Program::compile("backtrace.c");
    let place = image("gdb", &program);
    let path = program.path().display().to_string();
    let (out, err) = run(
        &gdb,
        &place,
        &[
            "-nx",
            "-batch",
            "-ex",
            "bt",
            "-ex",
            "print depth",
            &path,
            "myckpt",
        ],
    );
    for word in ["innermost", "in middle", "outermost", "in main", "$1 = 3"] {
        assert!(out.contains(word), "{word} is not in: {out}\n{err}");
    }
    assert!(
        !out.contains("signal handler called"),
        "the handler is in the backtrace: {out}"
    );
}

#[test]
fn gdb_shows_every_thread_in_the_code_of_the_program() {
    let Some(gdb) = tool("gdb_shows_every_thread_in_the_code_of_the_program", "gdb") else {
        return;
    };
    let program = Program::compile("thread_backtrace.c");
    let place = image("gdb-threads", &program);
    let path = program.path().display().to_string();
    let (out, err) = run(
        &gdb,
        &place,
        &[
            "-nx",
            "-batch",
            "-ex",
            "thread apply all bt",
            &path,
            "myckpt",
        ],
    );
    let (_, threads) = out
        .split_once("\nThread ")
        .unwrap_or_else(|| panic!("there are no threads in: {out}\n{err}"));
    let stacks: Vec<&str> = threads.split("\nThread ").collect();
    let functions = ["main", "computing", "locking", "sleeping"];
    for function in functions {
        let call = format!(" {function} (");
        let holds = |stack: &&str| stack.contains(&call);
        assert_eq!(
            stacks.iter().copied().filter(holds).count(),
            1,
            "{function}: {out}\n{err}"
        );
    }
    assert_eq!(stacks.len(), functions.len(), "{out}");
    for strange in ["signal handler called", "ckpt_"] {
        assert!(!out.contains(strange), "{strange} is in: {out}");
    }
}

#[test]
fn eu_stack_shows_the_stack_of_the_program() {
    let Some(stack) = tool("eu_stack_shows_the_stack_of_the_program", "eu-stack") else {
        return;
    };
    let program = Program::compile("backtrace.c");
    let place = image("eu-stack", &program);
    let path = program.path().display().to_string();
    let (out, err) = run(&stack, &place, &["--core", "myckpt", "--executable", &path]);
    for word in ["innermost", "middle", "outermost", "main"] {
        assert!(out.contains(word), "{word} is not in: {out}\n{err}");
    }
}
