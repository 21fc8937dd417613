//! What each region is made of: its file, where that still holds what it held, or the image's own copy.

use core::fmt::Write;

use ckpt_image::reader::Image;
use ckpt_image::regions::{Backing, FileIdentity, Region};
use ckpt_sys::line::Text;
use ckpt_sys::maps::path_of;
use ckpt_sys::{Errno, Fd, MapVec, calls, files};
use linux_raw_sys::general as n;
use restart::arguments::Options;
use restart::files::{Access, Place, Verdict, can_be_mapped, judge};
use restart::moves::Moves;
use restart::plan::Content;
use restart::report::{Cause, Composer, Error, Exit, Object};

use crate::image_file::ImageFile;
use crate::{Result, output};

/// Opens a file that is to be mapped.
pub fn open_mapped(
    name: &[u8],
    in_place: bool,
    moves: Moves<'_>,
) -> core::result::Result<(Fd, FileIdentity), Errno> {
    let access = if in_place { n::O_RDWR } else { n::O_RDONLY };
    let path = path_of(name)?;
    let path = moves.of(path.as_bytes()).unwrap_or(Ok(path))?;
    let fd = calls::open(path.as_c_str(), access | n::O_NONBLOCK | n::O_NOCTTY)?;
    let identity = files::identity(&calls::fstat(fd.number())?);
    Ok((fd, identity))
}

/// Decides for every region.
pub fn decide(
    file: &ImageFile,
    place: Place,
    options: Options<'static>,
) -> Result<MapVec<Content>> {
    let image = &file.image;
    let no_memory = |errno| {
        Error::new(
            Exit::Host,
            Object::Path(file.path),
            Cause::Failed("no memory for the list of its regions", errno),
            "free memory or raise `ulimit -v`",
        )
    };
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
            (
                Backing::SharedReadOnlyUnnamedFile
                | Backing::SharedUnnamedFile
                | Backing::PrivateUnnamedFile,
                _,
            ) => Content::File,
            (_, Some((_, content))) => content,
            (Backing::PrivateFile | Backing::SharedReadOnlyFile, None) => {
                match of_read_only(&region, options.moves) {
                    Content::Image if region.is_thin() => return Err(changing(region.name)),
                    content => content,
                }
            }
            (Backing::SharedFile, None) => {
                check_in_place(&region, place, options)?;
                Content::File
            }
        };
        last = Some((region, content));
        contents.push(content).map_err(no_memory)?;
    }
    Ok(contents)
}

/// Adds to `problems` the files that cannot be shared with again because they are not there, and those that hold what a thin
/// image does not.
pub fn name_missing(image: &Image<'_>, moves: Moves<'_>, problems: &mut Composer) {
    let mut last = b"".as_slice();
    let is_shared = |region: &Region<'_>| region.backing() == Backing::SharedFile;
    let needed = image
        .regions()
        .filter(|region| is_shared(region) || region.is_thin());
    for region in needed {
        // The parts of one file follow each other.
        if core::mem::replace(&mut last, region.name) == region.name {
            continue;
        }
        let use_of_it = if is_shared(&region) {
            "shared memory"
        } else {
            "left out of the image by CKPT_THIN"
        };
        let problem = match open_mapped(region.name, is_shared(&region), moves) {
            Err(errno) => Cause::Failed("cannot be opened", errno),
            Ok((_, now)) if region.is_thin() && !can_be_mapped(&region.file, &now, true) => {
                Cause::Because("has changed since")
            }
            Ok(_) => continue,
        };
        problems.separate();
        let _ = write!(problems, "{} ({use_of_it}) {problem}", Text(region.name));
    }
}

/// What there is to say when the file at `path` is not what it was a moment ago.
pub fn changing(path: &'static [u8]) -> Error<'static> {
    Error::new(
        Exit::Resource,
        Object::Path(path),
        Cause::Because("changes while the restorer is at work"),
        "leave the file alone and try again",
    )
}

fn of_read_only(region: &Region<'_>, moves: Moves<'_>) -> Content {
    match open_mapped(region.name, false, moves) {
        Ok((_, now)) if can_be_mapped(&region.file, &now, region.is_thin()) => Content::File,
        _ => Content::Image,
    }
}

/// Memory that is shared with a file must be shared with it again; nothing of it is in the image.
fn check_in_place(region: &Region<'static>, place: Place, options: Options<'static>) -> Result<()> {
    let refuse = |cause, remedy| {
        Err(Error::new(
            Exit::Resource,
            Object::Path(region.name),
            cause,
            remedy,
        ))
    };
    let opened = path_of(region.name).and_then(|path| {
        let (_, now) = open_mapped(region.name, true, options.moves)?;
        Ok((path, now))
    });
    let (path, now) = match opened {
        Ok(opened) => opened,
        Err(errno) => {
            return refuse(
                Cause::Failed(
                    "the program shares memory with it, and it cannot be opened",
                    errno,
                ),
                "put it back, or use --file OLD=NEW",
            );
        }
    };
    let place = place.unless_moved(options.moves, path.as_bytes());
    match judge(&region.file, &now, Access::InPlace, place) {
        Verdict::Refuse(why) if !options.allow_changed => refuse(
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
