//! Pipes, with names or without, and what is in them (pipe(7)).

use super::Object;
use crate::descriptors::Descriptor;
use crate::note::Kind;
use crate::reader::Image;
use crate::record;
use crate::wire::Malformed;

/// In the length of a piece: it is a packet, which a read never takes together with what follows.
pub const PACKET: u32 = 1 << 31;

/// A packet is at most this long, in bytes (`PIPE_BUF`).
pub const MAX_PACKET: u32 = 4096;

record! {
    /// One pipe. Its ends are the descriptors with this device and inode.
    pub struct Pipe<'a> {
        /// Device: the file system of pipes, or that with the name.
        pub device: u64,
        /// Inode.
        pub inode: u64,
        /// How much it can hold, in bytes (`F_GETPIPE_SZ`).
        pub capacity: u32,
        /// What is in it.
        pub content: &'a [u8],
        /// Lengths of the pieces of the content, 4 bytes each, with [`PACKET`]; [`Pipe::pieces`] takes them apart.
        pub lengths: &'a [u8],
    }
}

/// A part of what is in a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// Whether it was written as a packet (`O_DIRECT`).
    pub is_packet: bool,
    /// Its bytes.
    pub bytes: &'a [u8],
}

impl<'a> Pipe<'a> {
    /// The one that `descriptor` is an end of.
    #[must_use]
    pub fn of(descriptor: &Descriptor<'_>, image: &Image<'a>) -> Option<Self> {
        let file = &descriptor.file;
        image
            .objects::<Self>()
            .find(|pipe| pipe.device == file.device && pipe.inode == file.inode)
    }

    /// The content, piece by piece, as far as the lengths fit it.
    pub fn pieces(&self) -> impl Iterator<Item = Piece<'a>> + use<'a> {
        let mut rest = self.content;
        self.lengths().map_while(move |length| {
            let (bytes, behind) = rest.split_at_checked((length & !PACKET) as usize)?;
            rest = behind;
            Some(Piece {
                is_packet: length & PACKET != 0,
                bytes,
            })
        })
    }

    fn lengths(&self) -> impl Iterator<Item = u32> + use<'a> {
        let chunks = self.lengths.chunks_exact(4);
        chunks.map(|raw| u32::from_le_bytes([raw[0], raw[1], raw[2], raw[3]]))
    }
}

impl<'a> Object<'a> for Pipe<'a> {
    const NOTE: Kind = Kind::Pipes;

    fn check(&self) -> Result<(), Malformed> {
        let possible = |length: u32| match length & !PACKET {
            0 => false,
            size => length & PACKET == 0 || size <= MAX_PACKET,
        };
        let total: u64 = self
            .lengths()
            .map(|length| u64::from(length & !PACKET))
            .sum();
        let fits = total == self.content.len() as u64 && total <= u64::from(self.capacity);
        let whole = self.lengths.len().is_multiple_of(4);
        if fits && whole && self.lengths().all(possible) {
            Ok(())
        } else {
            Err(Malformed::Field("the content of a pipe"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn pipe<'a>(content: &'a [u8], lengths: &'a [u8]) -> Pipe<'a> {
        Pipe {
            device: 1,
            inode: 2,
            capacity: 4096,
            content,
            lengths,
        }
    }

    #[test]
    fn content_is_taken_apart() {
        let lengths = [3, 0, 0, 0, 2, 0, 0, 0x80];
        let pipe = pipe(b"abcde", &lengths);
        assert_eq!(pipe.check(), Ok(()));
        let pieces: Vec<_> = pipe
            .pieces()
            .map(|piece| (piece.is_packet, piece.bytes))
            .collect();
        assert_eq!(pieces, [(false, &b"abc"[..]), (true, b"de")]);
    }

    #[test]
    fn lengths_that_do_not_fit_are_refused() {
        let refused = |content: &[u8], lengths: &[u8]| pipe(content, lengths).check().is_err();
        assert!(refused(b"abc", &[2, 0, 0, 0]));
        assert!(refused(b"abc", &[4, 0, 0, 0]));
        assert!(refused(b"abc", &[3, 0, 0, 0, 0, 0, 0, 0]));
        assert!(refused(b"abc", &[3, 0, 0, 0, 0]));
        assert!(refused(&[0; 5000], &5000u32.to_le_bytes()));
        assert!(refused(b"", &[0xff; 8]));
    }
}
