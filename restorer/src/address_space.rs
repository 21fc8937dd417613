//! The restorer's own mappings.

use ckpt_image::TASK_SIZE;
use ckpt_image::segments::Span;
use ckpt_sys::bytes::lines;
use ckpt_sys::maps::MapsLine;
use ckpt_sys::{Errno, MapVec, files};
use restart::vdso::Area;

/// Room for `/proc/self/maps`, in bytes, and for its lines: ours are a few dozen.
const TEXT_ROOM: usize = 256 << 10;
const LINES_ROOM: usize = 2048;

/// What is mapped here.
pub struct AddressSpace {
    text: MapVec<u8>,
    /// Everything but the vdso's areas, ascending.
    pub own: MapVec<Span>,
    /// From the first of the vdso's areas to the last one; empty if the kernel has none.
    pub vdso: Span,
}

impl AddressSpace {
    /// Room for what [`Self::read`] finds, so that reading does not change it.
    pub fn with_room() -> Result<Self, Errno> {
        Ok(Self {
            text: MapVec::with_capacity(TEXT_ROOM)?,
            own: MapVec::with_capacity(LINES_ROOM)?,
            vdso: Span::new(TASK_SIZE, TASK_SIZE),
        })
    }

    /// Reads `/proc/self/maps`.
    pub fn read(&mut self) -> Result<(), Errno> {
        self.text.truncate(0);
        files::read_whole(c"/proc/self/maps", &mut self.text)?;
        self.own.truncate(0);
        let mut vdso: Option<Span> = None;
        for line in lines(&self.text).filter_map(MapsLine::parse) {
            if line.is_vdso() {
                let start = vdso.map_or(line.span.start, |vdso| vdso.start);
                vdso = Some(Span::new(start, line.span.end));
            } else if !line.is_vsyscall() {
                self.own.push(line.span)?;
            }
        }
        self.vdso = vdso.unwrap_or(Span::new(TASK_SIZE, TASK_SIZE));
        Ok(())
    }

    /// Device and inode of the file that is mapped at `address`, as `/proc/self/maps` has them; zeros if there is none.
    pub fn file_at(&self, address: u64) -> [u64; 2] {
        lines(&self.text)
            .filter_map(MapsLine::parse)
            .find(|line| (line.span.start..line.span.end).contains(&address))
            .map_or([0; 2], |line| [line.device_number(), line.inode])
    }

    /// The vdso's areas.
    pub fn vdso_areas(&self) -> impl Iterator<Item = Area<'_>> + Clone {
        let first = self.vdso.start;
        lines(&self.text)
            .filter_map(MapsLine::parse)
            .filter(MapsLine::is_vdso)
            .map(move |line| Area {
                name: line.name,
                offset: line.span.start - first,
                length: line.span.len(),
            })
    }
}
