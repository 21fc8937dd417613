//! Interactive programs, frozen in one terminal, killed, and restored in another one, by somebody who types it to a shell there: the
//! screen is drawn again, what was typed is there, and the shell has its terminal back in the end.

use std::fmt::Write as _;

use ckpt_tests::terminal::{PROMPT, SHELL, Size, Terminal};
use ckpt_tests::{Place, Program, tool};

const HERE: Size = [80, 24];
/// One of the same size, and another one.
const ELSEWHERE: [Size; 2] = [HERE, [100, 31]];

/// Whether everything is there that these tests need.
fn has(test: &str, program: &str) -> bool {
    tool(test, program).is_some() && tool(test, "tmux").is_some()
}

/// A terminal with a program of `workloads/`.
fn with_workload(place: &Place, name: &str) -> Terminal {
    let program = Program::workload(name);
    let program = program.path().to_str().expect("a path of ours is text");
    Terminal::under_libckpt(place, HERE, [program])
}

/// Whether the terminal is on its other screen, and has its cursor keys and its keypad send what programs ask for.
fn modes(terminal: &Terminal) -> String {
    terminal.state("#{alternate_on} #{keypad_cursor_flag} #{keypad_flag}")
}

/// The shell has its terminal back, in its usual mode.
fn shell_goes_on(terminal: &Terminal) {
    terminal.press(&["stty -a | grep -o ' icanon'; echo as ev''er", "Enter"]);
    terminal.wait_until_it_shows("a shell that goes on", |screen| {
        screen.contains(" icanon\nas ever\n")
    });
}

/// Freezes what runs in `terminal`, and restores it in other terminals, one after the other; the last one.
fn move_on(place: &Place, mut terminal: Terminal, check: impl Fn(&Terminal)) -> Terminal {
    let mut pid = terminal.pid();
    for (generation, size) in ELSEWHERE.into_iter().enumerate() {
        terminal.freeze(pid);
        terminal = Terminal::restoring(place, &format!("terminal{generation}"), size);
        check(&terminal);
        pid = terminal.foreground();
    }
    terminal
}

/// A file of many lines.
fn write_lines(place: &Place) {
    let mut text = String::new();
    for line in 1..=1000 {
        let _ = writeln!(text, "this is line {line}");
    }
    place.write("lines", text);
}

#[test]
fn vim() {
    if !has("vim", "vim") {
        return;
    }
    let place = Place::new("vim");
    write_lines(&place);
    let terminal = Terminal::under_libckpt(&place, HERE, ["vim", "-u", "NONE", "-n", "lines"]);
    terminal.wait_for("this is line 20");
    terminal.press(&["500GOnever saved"]);
    terminal.wait_for("never saved");
    let terminal = move_on(&place, terminal, |terminal| {
        terminal.wait_until_it_shows("the lines and the text", |screen| {
            screen.contains("never saved\nthis is line 500\n")
                && screen.contains("this is line 492")
        });
    });
    terminal.press(&[" until now", "Escape", ":wq", "Enter"]);
    terminal.wait_for(PROMPT);
    assert!(
        place
            .text("lines")
            .contains("line 499\nnever saved until now\nthis is line 500\n")
    );
    shell_goes_on(&terminal);
}

/// What looks only at the last size that it was told of draws its screen again in a terminal of the same size.
#[test]
fn a_program_that_draws_before_it_waits() {
    if tool("draws-before-it-waits", "tmux").is_none() {
        return;
    }
    let place = Place::new("draws");
    let terminal = with_workload(&place, "screen.c");
    terminal.wait_for("24 rows were drawn");
    let terminal = move_on(&place, terminal, |terminal| {
        terminal.wait_until_it_shows("the rows that there are", |screen| {
            screen.contains("24 rows were drawn") || screen.contains("31 rows were drawn")
        });
    });
    terminal.press(&["Enter"]);
    shell_goes_on(&terminal);
}

#[test]
fn less() {
    if !has("less", "less") {
        return;
    }
    let place = Place::new("less");
    write_lines(&place);
    let terminal = Terminal::under_libckpt(&place, HERE, ["less", "lines"]);
    terminal.wait_for("this is line 20");
    terminal.press(&["300g"]);
    terminal.wait_for("this is line 322");
    let terminal = move_on(&place, terminal, |terminal| {
        terminal.wait_until_it_shows("the same lines", |screen| {
            screen.starts_with("this is line 300\n") && screen.contains("this is line 322\n")
        });
        // The keys are as it has asked for, and what the shell has shown is on the other screen.
        terminal.press(&["Down"]);
        terminal.wait_until_it_shows("the next line", |screen| {
            screen.starts_with("this is line 301\n")
        });
        terminal.press(&["Up"]);
        terminal.wait_until_it_shows("the line before", |screen| {
            screen.starts_with("this is line 300\n")
        });
        assert_eq!(modes(terminal), "1 1 1\n");
    });
    terminal.press(&["/line 777", "Enter"]);
    terminal.wait_for("this is line 777\n");
    terminal.press(&["q"]);
    terminal.wait_for(PROMPT);
    shell_goes_on(&terminal);
    assert_eq!(modes(&terminal), "0 0 0\n");
}

/// Who ends with a checkpoint leaves the terminal as it was, and the shell on its own screen.
#[test]
fn less_that_ends_with_its_checkpoint() {
    if !has("less_that_ends", "less") {
        return;
    }
    let place = Place::new("less_that_ends");
    write_lines(&place);
    let command = ["env", "CKPT_AFTER=exit", "less", "lines"];
    let terminal = Terminal::under_libckpt(&place, HERE, command);
    terminal.wait_for("this is line 20");
    terminal.checkpoint(terminal.pid());
    drop(terminal);
    let terminal = Terminal::restoring(&place, "shell", HERE);
    terminal.wait_for("this is line 20");
    terminal.checkpoint(terminal.foreground());
    terminal.wait_until_it_shows("the shell's screen", |screen| {
        screen.contains(PROMPT) && !screen.contains("this is line 20")
    });
    assert_eq!(modes(&terminal), "0 0 0\n");
    shell_goes_on(&terminal);
}

/// What it is told of the screen does not come between the characters of a key.
#[test]
fn a_program_that_reads_keys_in_pieces() {
    if tool("keys", "tmux").is_none() {
        return;
    }
    let place = Place::new("keys");
    let terminal = with_workload(&place, "keys.c");
    terminal.wait_for("keys please");
    let terminal = move_on(&place, terminal, |terminal| {
        terminal.wait_for("it has looked");
        terminal.press(&["Left", "Right", "x"]);
        terminal.wait_until_it_shows("whole keys", |screen| {
            screen.contains("sends [D\na key that sends [C\na key that sends 120\n")
        });
    });
    terminal.press(&["q"]);
    shell_goes_on(&terminal);
}

#[test]
fn bash_with_job_control() {
    if !has("bash_with_job_control", "bash") {
        return;
    }
    let place = Place::new("bash_with_job_control");
    let terminal = Terminal::under_libckpt(&place, HERE, SHELL);
    terminal.wait_for(PROMPT);
    // A command before, so that the shell has taken its terminal back once, and one that is half typed.
    terminal.press(&["word=remembered; /bin/echo 'first'-command", "Enter"]);
    terminal.wait_for("\nfirst-command\n");
    terminal.press(&["echo half-"]);
    terminal.wait_for("echo half-");
    let terminal = move_on(&place, terminal, |terminal| {
        terminal.wait_for("echo half-");
        terminal.press(&["$word", "Enter"]);
        terminal.wait_for("\nhalf-remembered\n");
        // Jobs in the foreground, in the background, stopped and continued.
        terminal.press(&["/bin/echo 'in the'-foreground", "Enter"]);
        terminal.wait_for("\nin the-foreground\n");
        let shell = terminal.foreground();
        terminal.press(&["sleep 1000", "Enter"]);
        terminal.wait_until_it_shows("a job", |_| terminal.foreground() != shell);
        terminal.press(&["C-z"]);
        terminal.wait_for("Stopped");
        terminal.press(&["bg; jobs; kill %1; wait; clear", "Enter"]);
        // What is typed before would be in the terminal, which does not come along.
        terminal.wait_until_it_shows("an empty screen", |screen| screen.trim_end() == PROMPT);
        terminal.press(&["echo half-"]);
        terminal.wait_for("echo half-");
    });
    terminal.press(&["C-u", "exit", "Enter"]);
    shell_goes_on(&terminal);
}

#[test]
fn python3_at_its_prompt() {
    if !has("python3_at_its_prompt", "python3") {
        return;
    }
    let place = Place::new("python3_at_its_prompt");
    let terminal = Terminal::under_libckpt(&place, HERE, ["python3", "-q"]);
    terminal.wait_for(">>>");
    terminal.press(&["word = 'remembered'", "Enter", "print('half-' +"]);
    terminal.wait_for("print('half-' +");
    let terminal = move_on(&place, terminal, |terminal| {
        terminal.wait_for("print('half-' +");
    });
    terminal.press(&[" word)", "Enter"]);
    terminal.wait_for("\nhalf-remembered\n");
    terminal.press(&["exit()", "Enter"]);
    terminal.wait_for(PROMPT);
    shell_goes_on(&terminal);
}
