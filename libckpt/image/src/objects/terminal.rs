//! The controlling terminal.

use super::Object;
use crate::note::Kind;
use crate::record;
use crate::wire::Malformed;

record! {
    /// The controlling terminal of a program that has it open, if the program was in its foreground. Otherwise the settings are
    /// not the program's.
    pub struct Terminal {
        /// `c_iflag`, `c_oflag` and `c_lflag` of `struct termios`.
        pub input: u32,
        /// See [`Self::input`].
        pub output: u32,
        /// See [`Self::input`].
        pub local: u32,
        /// `c_cc`: control characters.
        pub characters: [u8; 19],
    }
}

impl Object<'_> for Terminal {
    const NOTE: Kind = Kind::Terminal;

    fn check(&self) -> Result<(), Malformed> {
        Ok(())
    }
}
