//! The restorer: becomes the process that an image holds.
//!
//! Freestanding: no C library, no start-up code, no heap. It begins in `asm/start.S`, on the stack that the linker
//! script has put at 0x5300000; `start` is its Rust side. The modules here execute what the library `restart` decides.
#![no_std]
#![no_main]

mod address_space;
mod clone;
mod contents;
mod core_file;
mod extents;
mod filler;
mod host;
mod image_file;
mod memory;
mod mover;
mod open_files;
mod output;
mod owners;
mod pad;
mod posix_timers;
mod process;
mod process_id;
mod protection_keys;
mod rights;
mod stand_in;
mod start;
mod steps;
mod terminal;
mod verify;

use core::convert::Infallible;

use ckpt_sys::Errno;
use ckpt_sys::kernel::SignalSet;
use restart::arguments::{self, Command, Mode, Options};
use restart::report::{Cause, Error, Exit, Object};

use clone::Threads;
use filler::Filler;
use host::Machine;
use image_file::ImageFile;
use memory::Memory;
use open_files::{OpenFiles, SetsAndQueues};
use owners::Owners;
use pad::Pad;
use rights::Rights;

/// What a step of the restorer returns: everything in an error lives as long as the process.
type Result<T> = core::result::Result<T, Error<'static>>;

/// Does what the command line says; returns when there is nothing more to do.
fn run(command_line: impl Iterator<Item = &'static [u8]>) -> Result<()> {
    let (path, mode, options) = match arguments::parse(command_line)? {
        Command::Help => return output::print(format_args!("{}", arguments::HELP)),
        Command::Version => return output::print(format_args!("{}", arguments::VERSION)),
        Command::With(path, mode, options) => (path, mode, options),
    };
    let file = ImageFile::open(path, options.any_owner)?;
    match mode {
        Mode::Verify => verify::verify(&file),
        Mode::ToCore(core) => core_file::write(&file, core),
        Mode::Plan => {
            Memory::prepare(&file, &Machine::look(&file.image), options)?.print_plan(&file, options)
        }
        Mode::Restore => restore(file, options).map(|never| match never {}),
    }
}

/// Becomes the process in the image. Whatever can fail is done before the last line.
fn restore(mut file: ImageFile, options: Options<'static>) -> Result<Infallible> {
    let image = file.image;
    host::check(&image, file.path, options.any_processor)?;
    let mut rights = Rights::decide(&image.credentials)?;
    // Before namespaces are made for the id.
    let machine = Machine::look(&image);
    machine.warn_of_namespaces(&image, options.pid);
    if options.pid {
        // What comes behind this happens in another process, which has no file open yet but the image.
        process_id::take(image.header.pid, &mut rights)?;
    }
    let files = OpenFiles::open(&mut file, &machine, options)?;
    let sets_and_queues = SetsAndQueues::find_or_make(&image, &machine)?;
    let mut filler = Filler::with_room_for(&file)?;
    let mut owners = Owners::with_room_for(&image)?;
    let mut threads = Threads::with_room_for(&image)?;

    let keys = protection_keys::Taken::for_memory_of(&image)?;
    let mut memory = Memory::prepare(&file, &machine, options)?;
    memory.park_vdso(&file)?;
    files.install(&file)?;
    process::forbid_huge_pages(&image);
    memory.fill(
        &file,
        &files.unnamed,
        options.moves,
        &mut filler,
        &mut owners,
    )?;
    if let Some(keys) = keys {
        keys.leave();
    }
    let segments = files.finish(&image)?;

    process::restore(&image, options.pid)?;
    open_files::complete(&image, &machine, options)?;
    rights.assume(&image)?;
    let pad = Pad::build(&image, &memory, &rights, options)?;
    threads.create(&image, &pad, options.pid)?;
    open_files::complete_with_threads(&image, threads.ids())?;
    // SAFETY: the words are in memory of the program that was filled and can be written, which the reader has checked, and
    // none of its threads runs.
    unsafe { owners.rename(threads.ids()) };
    pad.tell_locks(&image, threads.ids());
    posix_timers::create(&image, threads.ids())?;
    process::restore_last(&image)?;
    posix_timers::start(&image, &machine, threads.ids())?;
    terminal::restore(&image);
    drop(file);
    segments.keep();
    sets_and_queues.keep();
    pad.enter()
}

/// The restorer's whole life behind the change of the stack; `blocked` is what came of blocking all signals.
fn main(
    blocked: core::result::Result<SignalSet, Errno>,
    command_line: impl Iterator<Item = &'static [u8]>,
) -> i32 {
    let blocked = blocked.map_err(|errno| {
        Error::new(
            Exit::Host,
            Object::Thing("signals"),
            Cause::Failed("cannot block them", errno),
            "use another kernel",
        )
    });
    match blocked.and_then(|_| run(command_line)) {
        Ok(()) => 0,
        Err(error) => {
            output::complain(format_args!("{error}"));
            error.exit as i32
        }
    }
}
