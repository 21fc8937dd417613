//! Where the image goes: a temporary file beside its target, which takes the target's name when it is complete.
//!
//! Async-signal-safe: see `signal`.

use ckpt_image::container::Container;
use ckpt_image::elf::{
    FILE_HEADER_SIZE, PROGRAM_HEADER_SIZE, PT_NOTE, ProgramHeader, check_file_header,
};
use ckpt_image::header::Header;
use ckpt_image::note::{Kind, Meaning, Note};
use ckpt_image::wire::Decoder;
use ckpt_sys::bytes::decimal;
use ckpt_sys::crc::crc32c;
use ckpt_sys::line::Path;
use ckpt_sys::{Errno, Fd, Line, calls, files, proc};
use linux_raw_sys::general as n;

use crate::failure::{Doing, Failure, failure};
use crate::settings::{Settings, expand};

/// A file name, which the kernel limits to 255 bytes; longer ones are found out when it refuses them.
pub type Name = Line<300>;

/// How long the lock of the directory is waited for, in steps of [`LOCK_STEP`]: another checkpoint holds it for the time of a
/// rename.
const LOCK_TRIES: u32 = 200;
const LOCK_STEP: u64 = 1_000_000;

/// A temporary file that disappears unless it is published.
#[derive(Debug)]
pub struct Target {
    directory: Fd,
    directory_path: Path,
    name: Name,
    temporary: Name,
    file: Fd,
    /// The process whose image it is.
    pid: i32,
    published: bool,
}

/// Where an image went.
#[derive(Debug)]
pub struct Published {
    /// Its path.
    pub path: Path,
    /// The live process that already has an image under the wanted name, which is what is in the first field.
    pub taken: Option<(Name, i32)>,
    /// Where the image that was replaced came from, if its process cannot be seen from here.
    pub replaced_foreign: Option<&'static str>,
    /// Why the name may be lost if the machine goes down now.
    pub unsynced: Option<Errno>,
}

impl Target {
    /// Creates the temporary file for an image of process `pid`, and removes those of dead processes.
    ///
    /// # Errors
    /// [`Failure`] if the directory cannot be opened or written to.
    pub fn create(settings: &Settings, pid: i32) -> Result<Self, Failure> {
        let path = settings.path_for(pid);
        let (directory, name) = split(path.as_bytes());
        let directory_line = Path::format(format_args!("{}", ckpt_sys::line::Text(directory)));
        let mut directory_c = Path::new();
        directory_c.push(directory);
        let directory = calls::open(directory_c.as_c_str(), n::O_RDONLY | n::O_DIRECTORY)
            .doing(format_args!("the directory {directory_line}"))?;
        let link = Line::<64>::format(format_args!("/proc/thread-self/fd/{}", directory.number()));
        let directory_path: Path = files::read_link(link.as_c_str())
            .doing(format_args!("the directory {directory_line}"))?;

        let template = split(settings.file.as_bytes()).1;
        remove_leftovers(&directory, template, pid);
        let mut this = Name::new();
        this.push(name);
        let temporary = temporary_name(name, pid);
        let file = match create_locked(&directory, &temporary) {
            // Leftovers were removed.
            Err(Errno::EEXIST) => Err(failure!(
                "{directory_path}/{temporary}: the image before is still being written; send the signal again when it is complete"
            )),
            result => result.doing(format_args!("{directory_path}/{temporary}")),
        }?;
        Ok(Self {
            directory,
            directory_path,
            name: this,
            temporary,
            file,
            pid,
            published: false,
        })
    }

    /// The temporary file.
    pub fn file(&self) -> &Fd {
        &self.file
    }

    /// The path of the image, for messages.
    pub fn path(&self) -> Path {
        self.path_of(&self.name)
    }

    fn path_of(&self, name: &Name) -> Path {
        let mut path = self.directory_path;
        if path.as_bytes() != b"/" {
            path.push(b"/");
        }
        path.push(name.as_bytes());
        path
    }

    /// Brings the file to the disk.
    ///
    /// # Errors
    /// [`Failure`] if the disk does not take the data.
    pub fn sync(&self) -> Result<(), Failure> {
        calls::fsync(self.file.number()).doing(format_args!("{}", self.path()))?;
        Ok(())
    }

    /// Gives the file, which is on the disk, its name, and syncs the directory.
    ///
    /// # Errors
    /// [`Failure`] if the name belongs to something that is no image, or cannot be given.
    pub fn publish(mut self) -> Result<Published, Failure> {
        let path = self.path();
        if let Ok(file) = for_reading(&self.file) {
            self.file = file;
        }
        self.lock_directory();
        let pid = self.pid;
        let mut published = Published {
            path,
            taken: None,
            replaced_foreign: None,
            unsynced: None,
        };
        match owner_of(&self.directory, &self.name, &path)? {
            Owner::Nobody => {}
            Owner::Elsewhere(place) => published.replaced_foreign = Some(place),
            Owner::Alive(owner) if owner == pid => {}
            Owner::Alive(owner) => {
                let wanted = self.name;
                self.name = Name::format(format_args!("{wanted}.{pid}"));
                published.path = self.path();
                published.taken = Some((wanted, owner));
                // That name has our pid in it: only an image of ours, or of somebody dead, can be there.
                owner_of(&self.directory, &self.name, &published.path)?;
            }
        }
        calls::rename_at(
            self.directory.number(),
            self.temporary.as_c_str(),
            self.name.as_c_str(),
        )
        .doing(format_args!("{}", published.path))?;
        self.published = true;
        // The image that was there is replaced in any case. Some file systems cannot sync directories; there it is up to them when
        // the name is safe.
        let synced = calls::fsync(self.directory.number());
        published.unsynced = synced.err().filter(|&errno| errno != Errno::EINVAL);
        Ok(published)
    }

    /// Takes the lock under which owners are looked up and names are given, so that of two processes that finish at the
    /// same instant the second one sees the first one's image.
    fn lock_directory(&self) {
        for _ in 0..LOCK_TRIES {
            match calls::flock(self.directory.number(), n::LOCK_EX | n::LOCK_NB) {
                Err(Errno::EAGAIN) => calls::sleep(LOCK_STEP),
                // Some network file systems have no locks; the rename is atomic there, too.
                _ => return,
            }
        }
        // Whoever keeps it longer is no checkpoint: `flock DIRECTORY program` has it for all of the program's life. The
        // rename is atomic; what is lost is the order of two checkpoints that finish at the same instant.
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if !self.published {
            let _ = calls::unlink_at(self.directory.number(), self.temporary.as_c_str());
        }
    }
}

/// Directory and name of a path.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(0) => (b"/", &path[1..]),
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b".", path),
    }
}

fn temporary_name(name: &[u8], pid: i32) -> Name {
    let mut temporary = Name::new();
    temporary.push(b".");
    temporary.push(name);
    temporary.push(Line::<32>::format(format_args!(".{pid}.tmp")).as_bytes());
    temporary
}

/// Creates a file with a lock on it, which says that its owner lives; the lock also holds across machines that share the
/// directory.
fn create_locked(directory: &Fd, name: &Name) -> Result<Fd, Errno> {
    loop {
        let flags = n::O_RDWR | n::O_CREAT | n::O_EXCL | n::O_NOFOLLOW;
        let file = calls::open_at(directory.number(), name.as_c_str(), flags, 0o600)?;
        let _ = calls::flock(file.number(), n::LOCK_EX | n::LOCK_NB);
        let of_file = files::identity(&calls::fstat(file.number())?);
        // Somebody who came between may have taken it for a leftover.
        match calls::stat_at(directory.number(), name.as_c_str(), 0) {
            Ok(stat) if files::identity(&stat).same_file(&of_file) => return Ok(file),
            Ok(_) => return Err(Errno::EEXIST),
            Err(Errno::ENOENT) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// The same file, still locked, open for reading only: once it has its name, a lazy restart may map it, and does not if
/// anybody could still write to it.
fn for_reading(file: &Fd) -> Result<Fd, Errno> {
    let link = Line::<64>::format(format_args!("/proc/thread-self/fd/{}", file.number()));
    let other = calls::open(link.as_c_str(), n::O_RDONLY)?;
    for fd in [file, &other] {
        let _ = calls::flock(fd.number(), n::LOCK_SH | n::LOCK_NB);
    }
    Ok(other)
}

/// Removes the temporary files of processes that died while they wrote an image of the same name.
fn remove_leftovers(directory: &Fd, template: &[u8], own: i32) {
    // What cannot be read or removed stays; the checkpoint does not depend on it.
    let _ = files::for_each_entry(directory, |entry| {
        // The lock alone would not do: an owner that has just created its file has not locked it yet.
        let dead = |pid| pid == own || calls::kill(pid, 0) == Err(Errno::ESRCH);
        if owner_of_temporary(entry.to_bytes(), template).is_some_and(dead) {
            let flags = n::O_RDONLY | n::O_NOFOLLOW | n::O_NONBLOCK;
            if let Ok(file) = calls::open_at(directory.number(), entry, flags, 0)
                && calls::flock(file.number(), n::LOCK_EX | n::LOCK_NB).is_ok()
            {
                let _ = calls::unlink_at(directory.number(), entry);
            }
        }
        true
    });
}

/// The process that would give its temporary file the name `entry` for an image named by `template`.
fn owner_of_temporary(entry: &[u8], template: &[u8]) -> Option<i32> {
    let stem = entry.strip_suffix(b".tmp")?;
    let dot = stem.iter().rposition(|&byte| byte == b'.')?;
    let pid = i32::try_from(decimal(&stem[dot + 1..])?).ok()?;
    (temporary_name(expand(template, pid).as_bytes(), pid).as_bytes() == entry).then_some(pid)
}

/// Whose image a file is.
enum Owner {
    /// There is none, or its process is dead.
    Nobody,
    /// It comes from another place, where its process may well live.
    Elsewhere(&'static str),
    /// This process lives.
    Alive(i32),
}

/// Finds out whose image `name` is.
fn owner_of(directory: &Fd, name: &Name, path: &Path) -> Result<Owner, Failure> {
    let flags = n::O_RDONLY | n::O_NOFOLLOW | n::O_NONBLOCK;
    let file = match calls::open_at(directory.number(), name.as_c_str(), flags, 0) {
        Ok(file) => file,
        Err(Errno::ENOENT) => return Ok(Owner::Nobody),
        Err(Errno::ELOOP) => {
            return Err(failure!(
                "{path}: it is a symbolic link; remove it, or set CKPT_FILE to another name"
            ));
        }
        Err(errno) => return Err(errno).doing(format_args!("{path}")),
    };
    let stat = calls::fstat(file.number()).doing(format_args!("{path}"))?;
    let mut head = [0; FILE_HEADER_SIZE + PROGRAM_HEADER_SIZE];
    let regular = files::is_kind(&stat, n::S_IFREG);
    if regular && stat.st_size == 0 {
        return Ok(Owner::Nobody);
    }
    let is_image = |head: &[u8]| Container::begins_with(head) || check_file_header(head).is_ok();
    if !regular || files::read_at(&file, &mut head, 0).is_err() || !is_image(&head) {
        return Err(failure!(
            "{path}: it exists and is no checkpoint image; move it away, or set CKPT_FILE to another name"
        ));
    }
    let mut notes = [0; 4096];
    let header = read_header(&file, &head, stat.st_size as u64, &mut notes);
    let Some(header) = header else {
        return Ok(Owner::Nobody);
    };
    if header.boot_id != proc::boot_id() {
        let same_machine = header.machine_id == proc::machine_id();
        return Ok(if same_machine {
            Owner::Nobody
        } else {
            Owner::Elsewhere("another machine")
        });
    }
    Ok(if header.pid_namespace != proc::pid_namespace() {
        Owner::Elsewhere("another PID namespace")
    } else if proc::is_alive(header.pid, header.start_time) {
        Owner::Alive(header.pid)
    } else {
        Owner::Nobody
    })
}

/// The header note of the image whose file begins with `head` and has `size` bytes. It is the first note.
fn read_header<'b>(file: &Fd, head: &[u8], size: u64, buffer: &'b mut [u8]) -> Option<Header<'b>> {
    let notes_at = if Container::begins_with(head) {
        Container::read(head, size, crc32c).ok()?.notes().offset
    } else {
        let segment: ProgramHeader = Decoder::new(&head[FILE_HEADER_SIZE..]).get().ok()?;
        Some(segment.offset).filter(|_| segment.kind == PT_NOTE)?
    };
    let count = files::read_at(file, buffer, notes_at).ok()?;
    let note = Note::take(&mut Decoder::new(&buffer[..count])).ok()?;
    match note.meaning().ok()? {
        Meaning::Ours(Kind::Header, mut content) => content.get().ok(),
        _ => None,
    }
}
