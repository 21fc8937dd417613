//! The program's memory: lays it out beside the restorer's own, and has it mapped and filled.

use core::fmt::Write;
use core::slice;

use ckpt_image::clocks::CLOCKS;
use ckpt_image::context::Registers;
use ckpt_image::extents::Extent;
use ckpt_image::guards::Guard;
use ckpt_image::memory_settings::MemoryPolicy;
use ckpt_image::owners::{LockWord, OwnerWord};
use ckpt_image::reader::Image;
use ckpt_image::regions::{Backing, Region, vm_flags};
use ckpt_image::segments::Span;
use ckpt_image::signals::Pending;
use ckpt_sys::line::Text;
use ckpt_sys::{Errno, MapVec, calls};
use linux_raw_sys::general as n;
use restart::arguments::Options;
use restart::layout::{Layout, NoLayout, Situation};
use restart::moves::Moves;
use restart::operations::{Pad as PadPlaces, Work};
use restart::plan::{Content, Plan, Within};
use restart::report::{Cause, Error, Exit, Object};
use restart::vdso::{Area, Redirection, clock_gettime, functions, redirections, same_areas};

use crate::address_space::AddressSpace;
use crate::filler::Filler;
use crate::host::Machine;
use crate::image_file::ImageFile;
use crate::open_files::UnnamedFiles;
use crate::output::{self, Printer};
use crate::owners::Owners;
use crate::steps::Executor;
use crate::{Result, contents};

fn is_sealed(region: &Region<'_>) -> bool {
    region.flags & vm_flags::SEALED != 0
}

/// What is known about both address spaces.
pub struct Memory {
    /// The restorer's.
    pub here: AddressSpace,
    /// Where things go.
    pub layout: Layout,
    /// Device and inode of the image, if memory is mapped from it; otherwise zeros.
    pub image: [u64; 2],
    facts: Facts,
    contents: MapVec<Content>,
    saved_vdso: MapVec<u8>,
    clocks: Clocks,
    redirections: MapVec<Redirection>,
}

/// What the layout depends on beside the mappings.
#[derive(Clone, Copy)]
struct Facts {
    seals: bool,
    vdso_moves: bool,
    vdso_is_same: bool,
    brk: u64,
    stack_limit: u64,
    siblings: usize,
    signals: usize,
    lock_words: usize,
    environment: usize,
}

impl Facts {
    fn of(image: &Image<'_>, options: Options<'_>) -> Self {
        let process = &image.process;
        let of_sibling = |pending: &Pending| ![0, image.context.tid].contains(&pending.tid);
        Self {
            // Nothing is named, so the kernel only says whether it knows the call (Linux 6.10). A filter that does not know it may kill
            // who makes it, so it is not made without need.
            seals: image.regions().any(|region| is_sealed(&region))
                && calls::seal_memory(0, 0, 0).is_ok(),
            vdso_moves: true,
            vdso_is_same: false,
            brk: process.memory.brk,
            stack_limit: process.limits[n::RLIMIT_STACK as usize][0],
            siblings: image.threads.len() - 1,
            signals: image.pending().filter(of_sibling).count(),
            lock_words: image.objects::<LockWord>().count(),
            environment: variables(options).map(<[u8]>::len).sum(),
        }
    }

    fn with<'s>(&self, here: &'s AddressSpace) -> Situation<'s> {
        Situation {
            own: &here.own,
            vdso: here.vdso,
            vdso_areas: here.vdso_areas().count(),
            vdso_moves: self.vdso_moves,
            vdso_is_same: self.vdso_is_same,
            brk: self.brk,
            stack_limit: self.stack_limit,
            siblings: self.siblings,
            signals: self.signals,
            lock_words: self.lock_words,
            environment: self.environment,
        }
    }
}

/// What the program is to find in its environment, in pieces: each string, and its NUL.
pub fn variables<'a>(options: Options<'a>) -> impl Iterator<Item = &'a [u8]> {
    let strings = options.environment.iter();
    strings.flat_map(|string| [string, &b"\0"[..]])
}

/// What becomes of the clocks that count from a boot.
struct Clocks {
    machine: Machine,
    saved: ckpt_image::clocks::Clocks,
    boot_id: [u8; 16],
    /// Whether the program's vdso is led to libckpt's `clock_gettime`: its clocks are not the kernel's any more.
    are_led_here: bool,
    /// Where the kernel's `clock_gettime` will be.
    kernels: u64,
}

impl Clocks {
    fn of(image: &Image<'static>, machine: &Machine, without_vdso: bool) -> Self {
        let (saved, boot_id) = (image.clocks, image.header.boot_id);
        let are_others = !machine.has_clocks_of(image);
        Self {
            machine: *machine,
            saved,
            boot_id,
            are_led_here: are_others && saved.entered == 0 && !without_vdso,
            kernels: 0,
        }
    }

    /// As late as possible, since the program's clocks stand still until then.
    fn offsets(&self) -> [u64; CLOCKS] {
        if self.are_led_here || self.saved.entered != 0 {
            self.machine.clocks().offsets(&self.saved, self.boot_id)
        } else {
            self.saved.offsets
        }
    }
}

fn no_memory(errno: Errno) -> Error<'static> {
    Error::new(
        Exit::Host,
        Object::Thing("the plan"),
        Cause::Failed("no memory for it", errno),
        "free memory or raise `ulimit -v`",
    )
}

impl Memory {
    /// Decides what everything is made of and where it goes. All memory that is needed for that, and for what follows, is
    /// mapped before the own mappings are looked at: from then on they stay as they are.
    pub fn prepare(file: &ImageFile, machine: &Machine, options: Options<'static>) -> Result<Self> {
        let image = &file.image;
        let contents = contents::decide(file, machine.place, options)?;
        let saved_vdso = read_saved_vdso(file)?;
        let clocks = Clocks::of(image, machine, saved_vdso.is_empty());
        let redirections =
            MapVec::with_capacity(functions(&saved_vdso).count()).map_err(no_memory)?;
        let layout = Layout::with_room_for(image.regions()).map_err(no_memory)?;
        let mapped = if options.lazy {
            Some(file.map_a_page()?)
        } else {
            None
        };
        let mut here = AddressSpace::with_room().map_err(no_memory)?;
        here.read().map_err(|errno| {
            Error::new(
                Exit::Host,
                Object::Thing("/proc/self/maps"),
                Cause::Failed("cannot read it", errno),
                "mount /proc",
            )
        })?;

        let mut memory = Self {
            image: mapped.map_or([0; 2], |page| here.file_at(page)),
            here,
            layout,
            facts: Facts::of(image, options),
            contents,
            saved_vdso,
            clocks,
            redirections,
        };
        memory.facts.vdso_is_same = !options.foreign_vdso
            && !memory.clocks.are_led_here
            && same_areas(saved_areas(image), memory.here.vdso_areas())
            && memory.vdso_at(memory.here.vdso.start) == &memory.saved_vdso[..];
        memory.arrange(file)?;
        memory.redirect(memory.here.vdso.start)?;
        Ok(memory)
    }

    fn arrange(&mut self, file: &ImageFile) -> Result<()> {
        let situation = self.facts.with(&self.here);
        let regions = file.image.regions();
        self.layout
            .arrange(regions, &situation)
            .map_err(|why| match why {
                NoLayout::NoHole => Error::new(
                    Exit::Host,
                    Object::Path(file.path),
                    Cause::Because("its memory leaves no room for the restorer"),
                    "try again: the kernel puts the restorer elsewhere each time",
                ),
                NoLayout::VdsoInTheWay => Error::new(
                    Exit::Host,
                    Object::Path(file.path),
                    Cause::Because("this kernel has put its vdso where the program has memory"),
                    "try again: the kernel puts it elsewhere each time",
                ),
                NoLayout::Memory(errno) => no_memory(errno),
            })
    }

    /// Computes the redirections of a foreign vdso to the kernel's, which is mapped at `mapped` at the moment.
    fn redirect(&mut self, mapped: u64) -> Result<()> {
        self.redirections.truncate(0);
        if self.facts.vdso_is_same || self.saved_vdso.is_empty() {
            return Ok(());
        }
        let code = self.vdso_at(mapped);
        let offset = self.vdso_area().map_or(0, |area| area.offset);
        let at = self.layout.vdso + offset;
        let entry = self.clocks.are_led_here.then_some(self.clocks.saved.entry);
        self.clocks.kernels = clock_gettime(code).map_or(0, |function| at + function.offset);
        let all = redirections(&self.saved_vdso, code, at, entry);
        for redirection in all {
            self.redirections.push(redirection).map_err(no_memory)?;
        }
        Ok(())
    }

    fn vdso_area(&self) -> Option<Area<'_>> {
        self.here.vdso_areas().find(|area| area.name == b"[vdso]")
    }

    /// The bytes of the kernel's vdso, whose areas are mapped from `start` on.
    fn vdso_at(&self, start: u64) -> &'static [u8] {
        self.vdso_area().map_or(&[], |area| {
            let (at, length) = (start + area.offset, area.length as usize);
            // SAFETY: callers say where the area is mapped; it is readable and never changes.
            unsafe { slice::from_raw_parts(at as *const u8, length) }
        })
    }

    /// Moves the kernel's vdso to where it waits, or stays, in the hole. Tried now, while there is another way: a kernel that
    /// seals its mappings does not move them.
    pub fn park_vdso(&mut self, file: &ImageFile) -> Result<()> {
        match self.move_vdso() {
            Ok(()) => self.redirect(self.layout.vdso),
            Err((0, _)) => {
                self.facts.vdso_moves = false;
                self.facts.vdso_is_same = false;
                self.arrange(file)?;
                self.redirect(self.here.vdso.start)
            }
            Err((_, errno)) => Err(Error::new(
                Exit::Host,
                Object::Thing("the vdso"),
                Cause::Failed("cannot be moved", errno),
                "use --foreign-vdso",
            )),
        }
    }

    /// Moves the vdso's areas; says which one could not be moved.
    fn move_vdso(&self) -> core::result::Result<(), (usize, Errno)> {
        let (from, to) = (self.here.vdso.start, self.layout.vdso);
        for (index, area) in self.here.vdso_areas().enumerate() {
            let (old, new) = (from + area.offset, to + area.offset);
            // SAFETY: nothing of ours uses the vdso, and the hole is free.
            unsafe { calls::remap_to(old as usize, area.length as usize, new as usize) }
                .map_err(|errno| (index, errno))?;
        }
        Ok(())
    }

    /// Maps and fills everything, and notes the words that hold a thread id.
    pub fn fill(
        &self,
        file: &ImageFile,
        unnamed: &UnnamedFiles,
        moves: Moves<'static>,
        filler: &mut Filler,
        owners: &mut Owners,
    ) -> Result<()> {
        if !self.facts.seals && file.image.regions().any(|region| is_sealed(&region)) {
            output::warn(format_args!(
                "memory that was sealed (mseal): this kernel has no such call; the program goes on without"
            ));
        }
        let mut executor = Executor::new(file, unnamed, moves, filler, owners);
        let situation = self.facts.with(&self.here);
        let image = &file.image;
        self.plan(&situation)
            .steps(image.regions(), within(image), |step| {
                // SAFETY: the plan was made for this address space, and nothing was mapped since.
                unsafe { executor.execute(step) }
            })
    }

    fn plan<'p>(&'p self, situation: &'p Situation<'p>) -> Plan<'p> {
        Plan {
            layout: &self.layout,
            situation,
            contents: &self.contents,
            redirections: &self.redirections,
            lazy: self.image != [0; 2],
        }
    }

    /// What the restored process is told of its clocks: the kernel's `clock_gettime`, if its own is led to libckpt's, and what it is to
    /// see beyond the kernel's clocks.
    pub fn clocks(&self) -> (u64, [u64; CLOCKS]) {
        let kernels = if self.clocks.are_led_here {
            self.clocks.kernels
        } else {
            0
        };
        (kernels, self.clocks.offsets())
    }

    /// Where the kernel's vdso is in the restored process; 0 if there is none.
    pub fn vdso(&self, image: &Image<'static>) -> u64 {
        let start = if self.facts.vdso_is_same {
            saved_vdso_start(image)
        } else {
            self.layout.vdso
        };
        self.vdso_area().map_or(0, |area| start + area.offset)
    }

    /// The vdso's areas that stage 2 moves, from where to where.
    pub fn vdso_moves(
        &self,
        image: &Image<'static>,
    ) -> impl Iterator<Item = (Span, u64)> + Clone + use<'_> {
        let first = saved_vdso_start(image);
        let is_same = self.facts.vdso_is_same;
        self.here
            .vdso_areas()
            .filter(move |_| is_same)
            .map(move |area| {
                let start = self.layout.vdso + area.offset;
                (Span::new(start, start + area.length), first + area.offset)
            })
    }

    /// The staged regions, from where to where.
    pub fn staged(
        &self,
        image: &Image<'static>,
    ) -> impl Iterator<Item = (Span, u64)> + Clone + use<'_> {
        image
            .regions()
            .zip(self.layout.places.iter().copied())
            .filter(|(region, place)| Layout::is_staged(region, *place))
            .map(|(region, place)| (Span::new(place, place + region.len()), region.start))
    }

    /// The regions that are sealed, if this kernel seals memory.
    pub fn sealed(&self, image: &Image<'static>) -> impl Iterator<Item = Span> + Clone + use<> {
        let seals = self.facts.seals;
        image
            .regions()
            .filter(move |region| seals && is_sealed(region))
            .map(|region| Span::new(region.start, region.end))
    }

    /// Prints what a restart would do.
    pub fn print_plan(&self, file: &ImageFile, options: Options<'static>) -> Result<()> {
        let image = &file.image;
        let mut out = Printer::new();
        // What cannot be written is remembered.
        let _ = writeln!(
            out,
            "{}: program {}, generation {}",
            Text(file.path),
            Text(image.process.program),
            image.header.generation
        );
        if options.pid {
            let _ = writeln!(out, "process id {}", image.header.pid);
        }
        for variable in options.environment {
            let _ = writeln!(out, "environment {}", Text(variable));
        }
        let (hole, pad) = (self.layout.hole, self.layout.pad);
        let _ = writeln!(out, "hole {:x}-{:x}", hole.start, hole.end);
        let _ = writeln!(out, "pad {:x}-{:x}", pad.start, pad.end);
        for area in self.here.vdso_areas() {
            let (from, to) = (self.here.vdso.start, self.layout.vdso);
            let (from, to) = (from + area.offset, to + area.offset);
            let _ = writeln!(out, "move {} from {from:x} to {to:x}", Text(area.name));
        }
        for LockWord { address, tid, .. } in image.objects() {
            let _ = writeln!(out, "perhaps lock {address:x} of thread {tid}");
        }
        for descriptor in image.descriptors() {
            let (number, kind) = (descriptor.number, descriptor.kind());
            let path = Text(descriptor.path);
            let _ = writeln!(out, "descriptor {number} {kind:?} {path}");
        }
        let situation = self.facts.with(&self.here);
        self.plan(&situation)
            .steps(image.regions(), within(image), |step| {
                let _ = writeln!(out, "{step}");
                Ok::<(), Error<'_>>(())
            })?;
        let siblings = self.layout.room.siblings;
        if siblings != 0 {
            let signals = self.layout.room.signals;
            let _ = writeln!(
                out,
                "create {siblings} threads, {signals} pending signals for them"
            );
        }
        let _ = writeln!(out, "stage 2");
        let work = self.work(image);
        for operation in work.operations(
            self.vdso_moves(image),
            self.staged(image),
            self.sealed(image),
        ) {
            let _ = writeln!(out, "{operation}");
        }
        for thread in image.contexts() {
            let Registers { rip, rsp, .. } = thread.registers;
            let _ = writeln!(out, "thread {} jump {rip:x} stack {rsp:x}", thread.tid);
        }
        out.finish()
    }

    /// What stage 2 has to do in any case.
    pub fn work(&self, image: &Image<'static>) -> Work<'_> {
        Work {
            own: &self.here.own,
            bases: (image.context.fs_base, image.context.gs_base),
            error_fd: output::error_fd() as u32,
            pad: PadPlaces::at(self.layout.pad.start, self.layout.room),
            program: None,
            drops_capabilities: false,
        }
    }
}

/// What lies within the regions of `image`.
fn within(
    image: &Image<'static>,
) -> Within<
    impl Iterator<Item = (Extent, u64)> + Clone + use<>,
    impl Iterator<Item = OwnerWord> + use<>,
    impl Iterator<Item = Guard> + use<>,
    impl Iterator<Item = MemoryPolicy> + use<>,
> {
    Within {
        extents: image.placed_extents(),
        owners: image.owners(),
        guards: image.objects(),
        policies: image.objects(),
    }
}

fn saved_vdso_start(image: &Image<'static>) -> u64 {
    image
        .regions()
        .find(|region| region.backing() == Backing::Vdso)
        .map_or(0, |region| region.start)
}

fn saved_areas<'i>(image: &'i Image<'static>) -> impl Iterator<Item = Area<'i>> + Clone {
    let first = saved_vdso_start(image);
    image
        .regions()
        .filter(|region| region.backing() == Backing::Vdso)
        .map(move |region| Area {
            name: region.name,
            offset: region.start - first,
            length: region.len(),
        })
}

/// The saved copy of the vdso's code; empty if the program had none.
fn read_saved_vdso(file: &ImageFile) -> Result<MapVec<u8>> {
    let Some(region) = file.image.regions().find(Region::is_vdso_code) else {
        return Ok(MapVec::new());
    };
    let mut bytes = MapVec::zeroed(region.len() as usize).map_err(no_memory)?;
    let mut room = file.room().map_err(no_memory)?;
    for (extent, offset) in file.image.placed_extents() {
        if !region.contains(extent.address) {
            continue;
        }
        let start = (extent.address - region.start) as usize;
        let part = &mut bytes[start..start + extent.len() as usize];
        file.read_extent(part, offset, extent.checksum, &mut room)?;
    }
    if functions(&bytes).next().is_none() {
        return Err(file.error(
            Cause::Because("it has no usable copy of the vdso"),
            "take a new checkpoint",
        ));
    }
    Ok(bytes)
}
