//! Pseudo-terminals whose master side the program has (pty(7)).

use super::Object;
use crate::descriptors::Descriptor;
use crate::note::Kind;
use crate::reader::Image;
use crate::record;
use crate::wire::Malformed;

record! {
    /// One of them.
    pub struct PseudoTerminal<'a> {
        /// Its number, which the descriptors of both sides have for their inode.
        pub number: u32,
        /// 1 if its slave side cannot be opened.
        pub locked: u32,
        /// 1 if its master side reads packets.
        pub packets: u32,
        /// 1 if it is the controlling terminal of the program, which leads its session.
        pub controls: u32,
        /// User and group, and
        pub owner: [u32; 2],
        /// permissions of its slave side.
        pub mode: u32,
        /// `c_iflag`, `c_oflag`, `c_cflag` and `c_lflag` of `struct termios`.
        pub flags: [u32; 4],
        /// `c_line`.
        pub line: u8,
        /// `c_cc`: control characters.
        pub characters: [u8; 19],
        /// Rows, columns, width and height in pixels.
        pub size: [u16; 4],
        /// What the slave side has not yet read.
        pub to_slave: &'a [u8],
        /// What the master side has not yet read.
        pub to_master: &'a [u8],
    }
}

impl<'a> PseudoTerminal<'a> {
    /// The one that `descriptor` is a side of.
    #[must_use]
    pub fn of(descriptor: &Descriptor<'_>, image: &Image<'a>) -> Option<Self> {
        let mut all = image.objects::<Self>();
        all.find(|one| u64::from(one.number) == descriptor.file.inode)
    }
}

impl<'a> Object<'a> for PseudoTerminal<'a> {
    const NOTE: Kind = Kind::PseudoTerminals;

    fn check(&self) -> Result<(), Malformed> {
        /// More is never in one: the buffer of lines, and those in front of it (`TTYB_DEFAULT_MEM_LIMIT` in
        /// drivers/tty/tty_buffer.c), with room to spare.
        const MOST: usize = 1 << 20;
        if self.to_slave.len() <= MOST && self.to_master.len() <= MOST {
            Ok(())
        } else {
            Err(Malformed::Field("the content of a pseudo-terminal"))
        }
    }
}
