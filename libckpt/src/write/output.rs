//! The file that an image is written to, as it is or compressed.

use core::fmt::Display;

use ckpt_image::container::{CONTAINER_SIZE, Container, ENTRY_SIZE, MAGIC, VERSION};
use ckpt_sys::crc::crc32c;
use ckpt_sys::{Errno, Fd, calls, files};
use linux_raw_sys::general as n;

use super::packer::Packer;
use crate::failure::{Doing, Failure, failure};
use crate::settings::Compression;

/// Where the parts of an image go.
pub struct Output<'f> {
    sink: Sink<'f>,
    /// What makes blocks of the data, if it is compressed.
    packer: Option<Packer>,
}

impl<'f> Output<'f> {
    /// Writes to `file`, whose path is for messages only, and nothing behind `limit`, the limit of file sizes.
    ///
    /// # Errors
    /// [`Failure`] if there is no memory for buffers.
    pub fn new(
        file: &'f Fd,
        limit: u64,
        path: &'f dyn Display,
        compression: Compression,
    ) -> Result<Self, Failure> {
        let packer = match compression {
            Compression::None => None,
            Compression::Lz4 => Some(Packer::new()?),
        };
        Ok(Self {
            sink: Sink::new(file, limit, path),
            packer,
        })
    }

    /// Says that the image, whose data begins at `start`, will have at least `size` bytes.
    ///
    /// # Errors
    /// [`Failure`] if it can never be written.
    pub fn begin(&mut self, start: u64, size: u64) -> Result<(), Failure> {
        match &mut self.packer {
            // How much is left of it is not known yet.
            Some(packer) => packer.begin(CONTAINER_SIZE as u64 + start),
            None => self.sink.check_limit(size)?,
        }
        Ok(())
    }

    /// Writes the bytes of an extent, which belong at `offset` of the image. Those of one extent come at once, and extents in
    /// their order.
    ///
    /// # Errors
    /// [`Failure`] if they cannot be written.
    pub fn extent(&mut self, bytes: &[u8], offset: u64) -> Result<(), Failure> {
        match &mut self.packer {
            Some(packer) => packer.add(bytes, &mut self.sink),
            None => self.sink.write(bytes, offset),
        }
    }

    /// Where extents go as they are, in any order; `None` if they have to come to [`Self::extent`].
    pub fn sink_of_extents(&mut self) -> Option<&mut Sink<'f>> {
        match &self.packer {
            Some(_) => None,
            None => Some(&mut self.sink),
        }
    }

    /// Writes `notes`, which belong at `offset` and end the image, and `head`, its beginning; how many bytes were written in all,
    /// without holes.
    ///
    /// # Errors
    /// [`Failure`] if they cannot be written.
    pub fn close(mut self, head: &[u8], notes: &[u8], offset: u64) -> Result<u64, Failure> {
        let sink = &mut self.sink;
        let Some(packer) = self.packer else {
            sink.write(notes, offset)?;
            sink.write(head, 0)?;
            return Ok(sink.written);
        };
        let (data_size, index) = packer.close(sink)?;
        let container = Container {
            magic: MAGIC,
            version: VERSION,
            head_size: head.len() as u64,
            data_size,
            blocks: (index.len() / ENTRY_SIZE) as u64,
            notes_size: notes.len() as u64,
            image_size: offset + notes.len() as u64,
            index_checksum: crc32c(&index),
            checksum: 0,
        };
        sink.write(&index, container.index().offset)?;
        sink.write(notes, container.notes().offset)?;
        sink.write(head, container.head().offset)?;
        sink.write(&container.encode(crc32c), 0)?;
        Ok(sink.written)
    }
}

/// A file that is being written. Nothing is written behind the limit of file sizes, since that would raise SIGXFSZ.
pub struct Sink<'f> {
    file: &'f Fd,
    limit: u64,
    path: &'f dyn Display,
    /// See [`Self::written`].
    written: u64,
    /// Whether the file system writes faster to what was allocated before.
    allocates: bool,
}

/// From this many bytes on allocating before writing takes less time than it saves.
const LARGE: usize = 1 << 20;

impl<'f> Sink<'f> {
    fn new(file: &'f Fd, limit: u64, path: &'f dyn Display) -> Self {
        // To file systems in memory, allocating means clearing what is overwritten afterwards.
        let in_memory = [n::TMPFS_MAGIC, n::RAMFS_MAGIC];
        let kind = calls::file_system(file.number());
        Self {
            file,
            limit,
            path,
            written: 0,
            allocates: kind.is_ok_and(|kind| !in_memory.contains(&kind)),
        }
    }

    /// Writes `bytes` to `offset`.
    ///
    /// # Errors
    /// [`Failure`] if they cannot be written.
    pub fn write(&mut self, bytes: &[u8], offset: u64) -> Result<(), Failure> {
        self.check_limit(offset + bytes.len() as u64)?;
        self.written += bytes.len() as u64;
        let mut result = Ok(());
        if self.allocates && bytes.len() >= LARGE {
            match calls::fallocate(self.file.number(), 0, offset, bytes.len() as u64) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno @ (Errno::ENOSPC | Errno::EDQUOT)) => result = Err(errno),
                Err(_) => self.allocates = false,
            }
        }
        result
            .and_then(|()| files::write_at(self.file, bytes, offset))
            .doing(format_args!("{}", self.path))
    }

    /// Another one that writes to the same file.
    pub fn another(&self) -> Self {
        Self {
            written: 0,
            ..*self
        }
    }

    /// Bytes that were written, without holes.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Adds what another one has written.
    pub fn add_written(&mut self, bytes: u64) {
        self.written += bytes;
    }

    fn check_limit(&self, size: u64) -> Result<(), Failure> {
        if size <= self.limit {
            return Ok(());
        }
        Err(failure!(
            "{}: the image needs {size} bytes, and the limit of file sizes is {}; raise it (ulimit -f) before the program \
             starts",
            self.path,
            self.limit
        ))
    }
}
