//! The controlling terminal.

use ckpt_image::descriptors::Kind;
use ckpt_image::objects::terminal::Terminal;
use ckpt_sys::{calls, terminal};

use super::Descriptors;
use super::objects::Objects;
use crate::failure::Failure;
use crate::interpose;

/// Reads its settings, if the program has it open and is in its foreground.
///
/// # Errors
/// [`Failure`] if there is no memory for them.
pub fn collect(all: &Descriptors, objects: &mut Objects) -> Result<(), Failure> {
    let group = calls::getpgid(0).unwrap_or(0) as i32;
    let may_be = |kind| matches!(kind, Kind::Standard | Kind::Terminal);
    let terminal = all
        .iter()
        .filter(|one| !one.is_duplicate() && may_be(one.kind()))
        .map(|one| one.number as i32)
        .find(|&fd| terminal::foreground(fd) == Ok(group));
    interpose::note_terminal(terminal);
    interpose::note_screen(terminal.and_then(|fd| terminal::size(fd).ok()));
    match terminal.and_then(|fd| terminal::settings(fd).ok()) {
        Some(settings) => objects.add(&Terminal {
            input: settings.input,
            output: settings.output,
            local: settings.local,
            characters: settings.characters,
        }),
        None => Ok(()),
    }
}
