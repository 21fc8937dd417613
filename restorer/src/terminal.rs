//! The terminal that the restored program has: its settings are those that it had given to the old one, and it is told to draw
//! its screen.

use ckpt_image::descriptors::Kind;
use ckpt_image::objects::signal_descriptors::SignalDescriptor;
use ckpt_image::objects::terminal::Terminal;
use ckpt_image::reader::Image;
use ckpt_sys::calls;
use ckpt_sys::kernel::signal_bit;
use ckpt_sys::terminal::{self, Settings};
use linux_raw_sys::general as n;

/// Prepares it, as the last thing that can be seen outside. All descriptors are on their numbers. If the process is not in the
/// foreground, the terminal is somebody else's, and stays as it is.
pub fn restore(image: &Image<'static>) {
    let mut terminals = image
        .descriptors()
        .filter(|one| matches!(one.kind(), Kind::Standard | Kind::Terminal))
        .map(|one| one.number as i32)
        .filter_map(|fd| Some((fd, terminal::settings(fd).ok()?)));
    let Some((fd, now)) = terminals.next() else {
        return;
    };
    let group = calls::getpgid(0).map(|group| group as i32);
    if let Some(saved) = image.objects::<Terminal>().next()
        && terminal::foreground(fd) == group
    {
        // Not even a terminal that is gone by now keeps the program from going on.
        let _ = terminal::set_settings(fd, &with_settings(now, &saved));
    }
    if is_told_of_sizes(image) {
        let _ = calls::tgkill(calls::pid(), calls::tid(), n::SIGWINCH as i32);
    }
}

/// The program's settings; speed and other properties of the line are the terminal's own.
fn with_settings(now: Settings, saved: &Terminal) -> Settings {
    Settings {
        input: saved.input,
        output: saved.output,
        local: saved.local,
        characters: saved.characters,
        ..now
    }
}

/// Whether the program wants to know when the size of its screen changes. That is when it draws it again.
fn is_told_of_sizes(image: &Image<'_>) -> bool {
    /// `SIG_IGN`, the higher one of the two that are no handlers.
    const SIG_IGN: u64 = 1;
    let handled = image.actions.actions[n::SIGWINCH as usize - 1].handler > SIG_IGN;
    let read = |one: SignalDescriptor| one.mask & signal_bit(n::SIGWINCH as i32) != 0;
    handled || image.objects::<SignalDescriptor>().any(read)
}
