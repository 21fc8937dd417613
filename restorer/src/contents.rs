//! What each region is made of: its file, where that still holds what it held, or the image's own copy.

use ckpt_image::regions::{Backing, FileIdentity, Region};
use ckpt_sys::line::{Path, Text};
use ckpt_sys::{Errno, Fd, MapVec, calls, files, proc};
use linux_raw_sys::general as n;
use restart::arguments::Options;
use restart::files::{Access, Place, Verdict, can_be_mapped, judge};
use restart::plan::Content;
use restart::report::{Cause, Error, Exit, Object};

use crate::image_file::{ImageFile, kernel_path};
use crate::{Result, output};

/// Opens a file that is to be mapped.
pub fn open_mapped(name: &[u8], in_place: bool) -> core::result::Result<(Fd, FileIdentity), Errno> {
    let access = if in_place { n::O_RDWR } else { n::O_RDONLY };
    let path = unescaped(name)?;
    let fd = calls::open(path.as_c_str(), access | n::O_NONBLOCK | n::O_NOCTTY)?;
    let identity = files::identity(&calls::fstat(fd.number())?);
    Ok((fd, identity))
}

/// The path that a line of maps names: it has `\012` for a newline.
fn unescaped(name: &[u8]) -> core::result::Result<Path, Errno> {
    const NEWLINE: &[u8] = b"\\012";
    let mut path = kernel_path(b"")?;
    let mut rest = name;
    while let Some(at) = rest
        .windows(NEWLINE.len())
        .position(|window| window == NEWLINE)
    {
        path.push(&rest[..at]);
        path.push(b"\n");
        rest = &rest[at + NEWLINE.len()..];
    }
    path.push(rest);
    if path.is_cut() {
        Err(Errno::ENAMETOOLONG)
    } else {
        Ok(path)
    }
}

/// Decides for every region.
pub fn decide(file: &ImageFile, options: Options) -> Result<MapVec<Content>> {
    let image = &file.image;
    let no_memory = |errno| {
        Error::new(
            Exit::Host,
            Object::Path(file.path),
            Cause::Failed("no memory for the list of its regions", errno),
            "free memory or raise `ulimit -v`",
        )
    };
    let place = Place::of(&image.header, proc::boot_id(), proc::machine_id());
    let mut contents = MapVec::with_capacity(image.regions().count()).map_err(no_memory)?;
    // The parts of one file follow each other, so remembering one answer is enough.
    let mut last: Option<(Region<'static>, Content)> = None;
    for region in image.regions() {
        let same_as_last = last.filter(|(last, _)| {
            last.backing() == region.backing()
                && last.name == region.name
                && last.file == region.file
        });
        let content = match (region.backing(), same_as_last) {
            (Backing::Anonymous | Backing::SharedAnonymous | Backing::Vdso, _) => Content::Image,
            (_, Some((_, content))) => content,
            (Backing::PrivateFile | Backing::SharedReadOnlyFile, None) => of_read_only(&region),
            (Backing::SharedFile, None) => {
                check_in_place(&region, place, options.allow_changed)?;
                Content::File
            }
        };
        last = Some((region, content));
        contents.push(content).map_err(no_memory)?;
    }
    Ok(contents)
}

fn of_read_only(region: &Region<'_>) -> Content {
    match open_mapped(region.name, false) {
        Ok((_, now)) if can_be_mapped(&region.file, &now) => Content::File,
        _ => Content::Image,
    }
}

/// Memory that is shared with a file must be shared with it again; nothing of it is in the image.
fn check_in_place(region: &Region<'static>, place: Place, allow_changed: bool) -> Result<()> {
    let refuse = |cause, remedy| {
        Err(Error::new(
            Exit::Resource,
            Object::Path(region.name),
            cause,
            remedy,
        ))
    };
    let now = match open_mapped(region.name, true) {
        Ok((_, now)) => now,
        Err(errno) => {
            return refuse(
                Cause::Failed(
                    "the program shares memory with it, and it cannot be opened",
                    errno,
                ),
                "put it back, then try again",
            );
        }
    };
    match judge(&region.file, &now, Access::InPlace, place) {
        Verdict::Refuse(why) if !allow_changed => refuse(
            Cause::Because(why),
            "put it back as it was, or use --allow-changed",
        ),
        Verdict::Refuse(why) | Verdict::Warn(why) => {
            output::warn(format_args!(
                "{} {why}; the program goes on with it as it is now",
                Text(region.name)
            ));
            Ok(())
        }
        Verdict::Fine => Ok(()),
    }
}
