//! The command line.

use ckpt_sys::MapVec;

use crate::moves::{Move, Moves};
use crate::report::{Cause, Error, Exit, Object};

/// What `--help` prints.
pub const HELP: &str = "\
Usage: restorer [OPTIONS] [--] IMAGE
       restorer --to-core [--] IMAGE CORE

Becomes the process that libckpt has saved in IMAGE.

Options:
  --plan           print what a restart would do, and do nothing
  --verify         read and check all of the image, print one line
  --to-core        write IMAGE as a core file for debuggers, which is an image as well: what is compressed (CKPT_COMPRESS)
                   is not any more; CORE must not exist
  --any-owner      take an image that belongs to another user or that others can write;
                   restoring an image is running its code
  --any-processor  take a processor that lacks instructions of the old one, which the program must not use
  --allow-changed  take files that were changed in place since the checkpoint
  --file OLD=NEW   the file or directory OLD of the program is NEW now, and what was below it is below NEW;
                   may be given several times
  --lazy           map memory from IMAGE instead of reading it, which takes the same few milliseconds at any size;
                   IMAGE must not be written to while the program runs (replacing it is harmless)
  --truncate       cut files that were open for writing back to their size at the checkpoint
  --pid            give the process and its threads the ids that they had; takes a privilege, or a namespace
  --env NAME=VALUE the program finds this in its environment; may be given several times
  --foreign-vdso   redirect the saved vdso to this kernel's even where both are the same (for tests)
  --help           print this text
  --version        print the version

Exit status: that of the restored program, or
  120  usage                       121  bad image
  122  this machine cannot run it  123  something it used is missing or refused
  124  failed half way             125  mistake in the restorer
";

/// What `--version` prints.
pub const VERSION: &str = concat!("restorer ", env!("CARGO_PKG_VERSION"), "\n");

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// Print [`HELP`].
    Help,
    /// Print [`VERSION`].
    Version,
    /// Something with an image.
    With(&'a [u8], Mode<'a>, Options<'a>),
}

/// What to do with the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode<'a> {
    /// Become the process in it.
    Restore,
    /// Print the plan.
    Plan,
    /// Check it.
    Verify,
    /// Write it as a core file with this path.
    ToCore(&'a [u8]),
}

/// Switches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options<'a> {
    /// Lifts the check of the image's owner and mode.
    pub any_owner: bool,
    /// Lifts the refusal of a processor that is not fit for every program.
    pub any_processor: bool,
    /// Lifts the refusal of files that were changed in place.
    pub allow_changed: bool,
    /// Takes the way for another kernel's vdso in any case.
    pub foreign_vdso: bool,
    /// Maps memory from the image instead of reading it.
    pub lazy: bool,
    /// Cuts outputs back to the size that they had.
    pub truncate: bool,
    /// Gives process and threads their old ids.
    pub pid: bool,
    /// Says where files are now.
    pub moves: Moves<'a>,
    /// What the program is to find in its environment, each as `NAME=VALUE`.
    pub environment: &'a [&'a [u8]],
}

/// What is wrong with one name more than there is use for.
const TOO_MANY: &str = "there is an image already";

/// Reads the arguments behind the program's name.
///
/// # Errors
/// [`Exit::Usage`].
pub fn parse<'a>(arguments: impl Iterator<Item = &'a [u8]>) -> Result<Command<'a>, Error<'a>> {
    let wrong = |object, why| {
        Error::new(
            Exit::Usage,
            object,
            Cause::Because(why),
            "see restorer --help",
        )
    };
    let (mut image, mut core) = (None, None);
    let (mut mode, mut options) = (Mode::Restore, Options::default());
    let (mut moves, mut environment) = (MapVec::new(), MapVec::new());
    let mut only_names = false;
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        let chosen = match argument {
            name if only_names || !name.starts_with(b"-") => {
                if image.is_none() {
                    image = Some(name);
                } else if core.replace(name).is_some() {
                    return Err(wrong(Object::Path(name), TOO_MANY));
                }
                continue;
            }
            b"--" => {
                only_names = true;
                continue;
            }
            b"--help" => return Ok(Command::Help),
            b"--version" => return Ok(Command::Version),
            b"--any-owner" => {
                options.any_owner = true;
                continue;
            }
            b"--any-processor" => {
                options.any_processor = true;
                continue;
            }
            b"--allow-changed" => {
                options.allow_changed = true;
                continue;
            }
            b"--lazy" => {
                options.lazy = true;
                continue;
            }
            b"--truncate" => {
                options.truncate = true;
                continue;
            }
            b"--pid" => {
                options.pid = true;
                continue;
            }
            b"--file" => {
                let value = arguments.next().unwrap_or_default();
                let moved = Move::parse(value).ok_or_else(|| {
                    let why = "--file takes OLD=NEW, two absolute paths";
                    wrong(Object::Path(value), why)
                })?;
                moves
                    .push(moved)
                    .map_err(|_| wrong(Object::Thing("--file"), "no memory for so many"))?;
                continue;
            }
            b"--env" => {
                let value = arguments.next().unwrap_or_default();
                if !value.iter().skip(1).any(|&byte| byte == b'=') {
                    return Err(wrong(Object::Path(value), "--env takes NAME=VALUE"));
                }
                environment
                    .push(value)
                    .map_err(|_| wrong(Object::Thing("--env"), "no memory for so many"))?;
                continue;
            }
            b"--foreign-vdso" => {
                options.foreign_vdso = true;
                continue;
            }
            b"--plan" => Mode::Plan,
            b"--verify" => Mode::Verify,
            b"--to-core" => Mode::ToCore(b""),
            _ => return Err(wrong(Object::Path(argument), "not an option")),
        };
        if mode != Mode::Restore && mode != chosen {
            return Err(wrong(
                Object::Path(argument),
                "only one of --plan, --verify, and --to-core at a time",
            ));
        }
        mode = chosen;
    }
    options.moves = Moves::new(moves.leak());
    options.environment = environment.leak();
    let image = image
        .filter(|image| !image.is_empty())
        .ok_or_else(|| wrong(Object::Thing("no image"), "there is nothing to do"))?;
    let mode = match (mode, core) {
        (Mode::ToCore(_), Some(core)) if !core.is_empty() => Mode::ToCore(core),
        (Mode::ToCore(_), _) => {
            let why = "it takes an image and the name of a file to write";
            return Err(wrong(Object::Thing("--to-core"), why));
        }
        (_, Some(second)) => return Err(wrong(Object::Path(second), TOO_MANY)),
        (mode, None) => mode,
    };
    Ok(Command::With(image, mode, options))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed<'a>(arguments: &[&'a str]) -> Result<Command<'a>, Exit> {
        parse(arguments.iter().map(|argument| argument.as_bytes())).map_err(|error| error.exit)
    }

    #[test]
    fn an_image_and_options_in_any_order() {
        let options = Options {
            any_owner: true,
            ..Options::default()
        };
        let wanted = Ok(Command::With(b"myckpt", Mode::Plan, options));
        assert_eq!(parsed(&["--plan", "--any-owner", "myckpt"]), wanted);
        assert_eq!(parsed(&["myckpt", "--any-owner", "--plan"]), wanted);
        let plain = Command::With(b"--plan", Mode::Restore, Options::default());
        assert_eq!(parsed(&["--", "--plan"]), Ok(plain));
    }

    #[test]
    fn a_core_file_has_a_name() {
        let wanted = Command::With(b"a", Mode::ToCore(b"b"), Options::default());
        assert_eq!(parsed(&["--to-core", "a", "b"]), Ok(wanted));
        assert_eq!(parsed(&["a", "--to-core", "--", "b"]), Ok(wanted));
    }

    #[test]
    fn files_that_have_moved() {
        let Ok(Command::With(_, _, options)) =
            parsed(&["--file", "/a=/b", "myckpt", "--file", "/c=/d=e"])
        else {
            panic!("it is right");
        };
        let now = options.moves.of(b"/c").map(|path| path.unwrap());
        assert_eq!(now.unwrap().as_bytes(), b"/d=e");
        assert!(options.moves.of(b"/a/b").is_some());
    }

    #[test]
    fn variables_of_the_environment() {
        let Ok(Command::With(_, _, options)) =
            parsed(&["--env", "A=1", "--env", "B=", "--env", "A=x=y", "myckpt"])
        else {
            panic!("it is right");
        };
        assert_eq!(options.environment, [&b"A=1"[..], b"B=", b"A=x=y"]);
        for wrong in ["A", "=A", ""] {
            assert_eq!(parsed(&["--env", wrong, "myckpt"]), Err(Exit::Usage));
        }
        assert_eq!(parsed(&["myckpt", "--env"]), Err(Exit::Usage));
    }

    #[test]
    fn help_and_version_win() {
        assert_eq!(parsed(&["--any-owner", "--help"]), Ok(Command::Help));
        assert_eq!(parsed(&["--version", "a", "b"]), Ok(Command::Version));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for wrong in [
            &[][..],
            &["-x"],
            &["-"],
            &["--plan"],
            &["a", "b"],
            &["--plan", "--verify", "a"],
            &["--to-core", "--verify", "a", "b"],
            &["--to-core"],
            &["--to-core", "a"],
            &["--to-core", "a", ""],
            &["--to-core", "a", "b", "c"],
            &["a", "--file"],
            &["a", "--file", "/b"],
            &["a", "--file", "b=/c"],
            &[""],
        ] {
            assert_eq!(parsed(wrong), Err(Exit::Usage), "{wrong:?}");
        }
    }
}
