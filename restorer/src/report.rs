//! What the restorer says when it cannot go on, and the exit status that goes with it.

use core::fmt;

use ckpt_image::reader::BadImage;
use ckpt_image::segments::Span;
use ckpt_sys::line::Text;
use ckpt_sys::{Errno, MapVec};

/// The restorer's own exit statuses; every other one is the restored program's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Exit {
    /// The command line is wrong.
    Usage = 120,
    /// The image is damaged, foreign, or none at all.
    Image = 121,
    /// This machine or its kernel cannot run the program.
    Host = 122,
    /// Something that the program used is missing or refused.
    Resource = 123,
    /// Stage 2 failed.
    NoReturn = 124,
    /// A mistake in the restorer itself.
    Internal = 125,
}

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object<'a> {
    /// A path, or an argument as it was given.
    Path(&'a [u8]),
    /// Memory of the program.
    Memory(Span),
    /// Anything else.
    Thing(&'static str),
}

/// Why it did not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause<'a> {
    /// A system call failed; the text says what it was for, as in "cannot open it".
    Failed(&'static str, Errno),
    /// The image is not valid.
    BadImage(BadImage),
    /// A reason that is always the same.
    Because(&'static str),
    /// A reason put together with [`compose`].
    Composed(&'a [u8]),
}

/// Why the restorer gives up: what it is about, what happened, and what can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error<'a> {
    /// The exit status.
    pub exit: Exit,
    /// What it is about.
    pub object: Object<'a>,
    /// What happened.
    pub cause: Cause<'a>,
    /// What the user can do.
    pub remedy: &'static str,
}

impl<'a> Error<'a> {
    /// An error about `object`.
    #[must_use]
    pub const fn new(
        exit: Exit,
        object: Object<'a>,
        cause: Cause<'a>,
        remedy: &'static str,
    ) -> Self {
        Self {
            exit,
            object,
            cause,
            remedy,
        }
    }
}

impl fmt::Display for Object<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Path(path) => write!(f, "{}", Text(path)),
            Self::Memory(span) => write!(f, "memory at {:#x}-{:#x}", span.start, span.end),
            Self::Thing(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Cause<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Failed(step, errno) => write!(f, "{step}: {errno}"),
            Self::BadImage(why) => write!(f, "{why}"),
            Self::Because(why) => f.write_str(why),
            Self::Composed(why) => write!(f, "{}", Text(why)),
        }
    }
}

impl fmt::Display for Error<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.object, self.cause, self.remedy)
    }
}

/// Text that grows; what there is no memory for is left out.
#[derive(Debug, Default)]
pub struct Composer(MapVec<u8>);

impl Composer {
    /// No text.
    #[must_use]
    pub const fn new() -> Self {
        Self(MapVec::new())
    }

    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text, which lives as long as the process.
    #[must_use]
    pub fn finish(self) -> &'static [u8] {
        self.0.leak()
    }

    /// Begins the next item of a list.
    pub fn separate(&mut self) {
        if !self.is_empty() {
            let _ = fmt::Write::write_str(self, ", ");
        }
    }
}

impl fmt::Write for Composer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend(text.as_bytes()).map_err(|_| fmt::Error)
    }
}

/// The text that `arguments` describe, for [`Cause::Composed`].
#[must_use]
pub fn compose(arguments: fmt::Arguments<'_>) -> &'static [u8] {
    let mut text = Composer::new();
    let _ = fmt::write(&mut text, arguments);
    text.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_with_cause_and_remedy() {
        let error = Error::new(
            Exit::Resource,
            Object::Path(b"/tmp/a\nb"),
            Cause::Failed("cannot open it", Errno::ENOENT),
            "put it back",
        );
        assert_eq!(
            error.to_string(),
            "/tmp/a\\nb: cannot open it: no such file or directory (ENOENT); put it back"
        );
        assert_eq!(error.exit as i32, 123);
    }

    #[test]
    fn items_of_a_list_are_separated() {
        use std::fmt::Write;
        let mut list = Composer::new();
        for item in ["avx", "avx2"] {
            list.separate();
            list.write_str(item).unwrap();
        }
        assert_eq!(list.finish(), b"avx, avx2");
    }
}
