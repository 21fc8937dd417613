//! Whatever happens to the headers and notes of an image, it is refused and nothing panics.

use ckpt_image::checksum::crc32c;
use ckpt_image::clocks::{CLOCKS, Clocks};
use ckpt_image::container::{Blocks, Container, MAGIC, VERSION};
use ckpt_image::context::{Context, Registers};
use ckpt_image::cpu::{COMPONENTS, Cpu, FEATURE_WORDS};
use ckpt_image::credentials::{Credentials, NAMESPACES};
use ckpt_image::descriptors::{Descriptor, Kind as DescriptorKind};
use ckpt_image::elf::{FileHeader, PF_R, PF_W, PF_X, PT_LOAD, PT_NOTE, ProgramHeader, head_size};
use ckpt_image::extents::Extent;
use ckpt_image::guards::Guard;
use ckpt_image::header::{Checksums, FORMAT, Header};
use ckpt_image::memory_settings::{FutureLocks, MemoryPolicy, NODE_WORDS, ProtectionKeys};
use ckpt_image::note::{Kind, append_own};
use ckpt_image::objects::Object;
use ckpt_image::objects::deleted_files::{DeletedFile, FileExtent};
use ckpt_image::objects::epoll_entries::EpollEntry;
use ckpt_image::objects::signal_owners::SignalOwner;
use ckpt_image::objects::system_v::{self, Segment};
use ckpt_image::objects::timer_descriptors::TimerDescriptor;
use ckpt_image::owners::{LockWord, OwnerWord};
use ckpt_image::process::{LIMITS, MemoryMap, Process};
use ckpt_image::reader::{BadImage, Image, segment_count, segment_flags};
use ckpt_image::regions::{Backing, FileIdentity, Region, vm_flags};
use ckpt_image::signals::{Action, Actions, Pending, SIGINFO_SIZE, SIGNALS};
use ckpt_image::wire::Encoder;
use ckpt_image::{PAGE, TASK_SIZE, page_up};

const CODE: u64 = 0x10000;
const STACK: u64 = 0x20000;
const PID: i32 = 7;

/// The parts of an image that a test may want to have otherwise.
#[derive(Clone)]
struct Parts {
    format: u32,
    regions: Vec<Region<'static>>,
    extents: Vec<Extent>,
    descriptors: Vec<Descriptor<'static>>,
    contexts: Vec<Context>,
    pending: Vec<Pending>,
    pending_count: u32,
    memory: MemoryMap,
    auxv: &'static [u8],
    parent_death_signal: u32,
    directory: &'static [u8],
    owners: Vec<OwnerWord>,
    lock_words: Vec<LockWord>,
    clocks: Clocks,
    deleted: Vec<DeletedFile>,
    guards: Vec<Guard>,
    policies: Vec<MemoryPolicy>,
    file_extents: Vec<FileExtent>,
    epoll_entries: Vec<EpollEntry>,
    timers: Vec<TimerDescriptor>,
    signal_owners: Vec<SignalOwner>,
    shared_segments: Vec<Segment>,
    future_locks: Vec<FutureLocks>,
    protection_keys: Vec<ProtectionKeys>,
    behind_the_last: bool,
    segments: Vec<ProgramHeader>,
}

fn region(start: u64, pages: u64, protection: u32) -> Region<'static> {
    Region {
        start,
        end: start + pages * PAGE,
        protection,
        backing_number: Backing::Anonymous as u32,
        flags: 0,
        offset: 0,
        file: FileIdentity::default(),
        name: b"",
    }
}

fn segment(kind: u32, flags: u32, address: u64, offset: u64, size: u64) -> ProgramHeader {
    ProgramHeader {
        kind,
        flags,
        offset,
        address,
        physical: 0,
        file_size: size,
        memory_size: if kind == PT_LOAD { size } else { 0 },
        alignment: PAGE,
    }
}

fn descriptor(number: u32) -> Descriptor<'static> {
    Descriptor {
        number,
        description: number,
        kind_number: DescriptorKind::Standard as u32,
        flags: 0,
        close_on_exec: 0,
        offset: 0,
        file: FileIdentity::default(),
        device: 0,
        path: b"pipe:[1]",
    }
}

/// What is at the address does not matter before somebody uses it.
fn lock_word(address: u64) -> LockWord {
    LockWord {
        address,
        tid: PID as u32,
        value: 12,
    }
}

/// A thread that can be.
fn thread(tid: i32) -> Context {
    Context {
        tid,
        registers: Registers {
            rip: CODE + 8,
            rsp: STACK + 64,
            rflags: 0x202,
            ..Registers::default()
        },
        fs_base: STACK,
        gs_base: 0,
        frame: STACK + 128,
    }
}

/// A signal that was sent to a thread.
fn pending(tid: i32) -> Pending {
    let mut info = [0; SIGINFO_SIZE];
    info[0] = 10;
    Pending { tid, info }
}

/// A deleted file of 1000 bytes.
fn deleted(inode: u64) -> DeletedFile {
    DeletedFile {
        device: 1,
        inode,
        mode: 0o100_600,
        uid: 0,
        gid: 0,
        size: 1000,
        accessed: 0,
        modified: 0,
    }
}

/// A stretch of guard pages.
fn guard(start: u64, end: u64) -> Guard {
    Guard { start, end }
}

/// A policy of some memory.
fn policy(start: u64, end: u64) -> MemoryPolicy {
    MemoryPolicy {
        start,
        end,
        mode: 2,
        nodes: [1; NODE_WORDS],
    }
}

/// A hundred bytes of such a file.
fn file_extent(file: u32, offset: u64) -> FileExtent {
    FileExtent {
        file,
        length: 100,
        offset,
        place: 2 * PAGE,
        checksum: 1,
    }
}

/// Appends a note with `objects`, if there are any.
fn append_objects<'a, T: Object<'a>>(to: &mut Encoder<'_>, objects: &[T]) {
    if !objects.is_empty() {
        append_own(to, T::NOTE, |to| {
            objects.iter().try_for_each(|object| to.put(object))
        })
        .unwrap();
    }
}

/// What descriptor 0 would be watched for.
fn epoll_entry(instance: u32, target: u32) -> EpollEntry {
    EpollEntry {
        instance,
        number: 0,
        target,
        events: 1,
        data: 0,
        reported: 0,
    }
}

/// Memory of the second deleted file, from its beginning.
fn shared_file(start: u64, pages: u64) -> Region<'static> {
    let mut region = region(start, pages, 3);
    region.backing_number = Backing::SharedUnnamedFile as u32;
    (region.file.device, region.file.inode) = (1, 2);
    region
}

/// A timer that does not run.
fn timer(description: u32) -> TimerDescriptor {
    TimerDescriptor {
        description,
        clock: 1,
        flags: 0,
        left: 0,
        due: 0,
        interval: 0,
        ticks: 0,
    }
}

/// The process gets SIGIO.
fn signal_owner(description: u32) -> SignalOwner {
    SignalOwner {
        description,
        whom_number: 1,
        thread: 0,
        signal: 0,
    }
}

/// The kernel's key in [`protection_keys`].
const EXECUTE_ONLY: u32 = 3;

fn protection_keys(allocated: u32) -> ProtectionKeys {
    ProtectionKeys {
        allocated,
        execute_only: EXECUTE_ONLY,
    }
}

/// Shared memory that ends in its second page.
fn shared_segment() -> Segment {
    Segment {
        device: system_v::DEVICE,
        inode: 5,
        key: 0,
        mode: 0o600,
        uid: 0,
        gid: 0,
        creator: 1,
        size: 5000,
    }
}

/// Memory behind the stack.
const BEHIND: u64 = 0x30000;

impl Parts {
    /// Adds a region behind the others, of which nothing is in the file.
    fn add_region(&mut self, region: Region<'static>) {
        let flags = segment_flags(region.protection);
        let mut segment = segment(PT_LOAD, flags, region.start, 0, region.len());
        segment.file_size = 0;
        self.segments.push(segment);
        self.regions.push(region);
    }

    /// A tiny process: a page of code, a page of stack, a few threads, and two deleted files.
    fn tiny() -> Self {
        Self {
            format: FORMAT,
            regions: vec![region(CODE, 1, 5), region(STACK, 1, 3)],
            extents: vec![
                Extent {
                    address: CODE,
                    pages: 1,
                    flags: 0,
                    checksum: 1,
                },
                Extent {
                    address: STACK,
                    pages: 1,
                    flags: 0,
                    checksum: 2,
                },
            ],
            descriptors: vec![descriptor(0), descriptor(1)],
            contexts: [PID, 3, 8, 9].map(thread).into(),
            pending: [0, PID, 9, 3].map(pending).into(),
            pending_count: 4,
            memory: MemoryMap {
                start_code: CODE,
                end_code: CODE + PAGE,
                start_data: CODE,
                end_data: CODE,
                start_brk: CODE,
                brk: CODE,
                start_stack: STACK,
                arg_start: STACK,
                arg_end: STACK,
                env_start: STACK,
                env_end: STACK,
            },
            auxv: &[0; 16],
            parent_death_signal: 0,
            directory: b"/",
            owners: vec![OwnerWord { address: STACK + 8 }],
            lock_words: vec![lock_word(STACK), lock_word(BEHIND)],
            clocks: Clocks {
                time_namespace: 8,
                kernel: [9; CLOCKS],
                offsets: [0; CLOCKS],
                entry: CODE,
                entered: 0,
            },
            deleted: [1, 2].map(deleted).into(),
            guards: vec![],
            policies: vec![],
            file_extents: vec![file_extent(0, 0), file_extent(0, 500), file_extent(1, 0)],
            epoll_entries: vec![],
            timers: vec![],
            signal_owners: vec![],
            shared_segments: vec![],
            future_locks: vec![],
            protection_keys: vec![],
            behind_the_last: false,
            segments: vec![
                segment(PT_NOTE, PF_R, 0, 3 * PAGE, 0),
                segment(PT_LOAD, PF_R | PF_X, CODE, PAGE, PAGE),
                segment(PT_LOAD, PF_R | PF_W, STACK, 2 * PAGE, PAGE),
            ],
        }
    }

    /// The bytes of the file.
    fn file(&self) -> Vec<u8> {
        let mut buffer = vec![0; 1 << 18];
        let mut notes = Encoder::new(&mut buffer);
        self.encode_notes(&mut notes);
        // An event counter, whose value has the checksum for its upper half.
        let behind = if self.behind_the_last { 12 + 8 + 20 } else { 0 };
        let notes_size = notes.len() + 12 + 8 + 20 + behind;
        let data_end = 3 * PAGE;

        let mut segments = self.segments.clone();
        segments[0].file_size = notes_size as u64;
        let mut head = vec![0; page_up(head_size(segments.len()) as u64) as usize];
        let mut to = Encoder::new(&mut head);
        to.put(&FileHeader::for_image(segments.len())).unwrap();
        segments.iter().for_each(|segment| to.put(segment).unwrap());

        let file_size = data_end + notes_size as u64;
        let sums = Checksums {
            file_size,
            head: crc32c(&head),
            notes: 0,
        };
        append_own(&mut notes, Kind::Checksums, |to| to.put(&sums)).unwrap();
        if self.behind_the_last {
            append_own(&mut notes, Kind::EventCounters, |to| to.put(&[0u64; 2])).unwrap();
        }
        assert_eq!(notes.len(), notes_size);
        let sum_at = notes.len() - 4;
        notes
            .patch_u32(sum_at, crc32c(&notes.written()[..sum_at]))
            .unwrap();

        let mut file = head;
        file.resize(data_end as usize, 0xab);
        file.extend_from_slice(notes.written());
        file
    }

    fn encode_notes(&self, to: &mut Encoder<'_>) {
        let header = Header {
            format: self.format,
            generation: 0,
            pid: PID,
            pid_namespace: 2,
            start_time: 3,
            boot_id: [4; 16],
            machine_id: [5; 16],
            realtime: 6,
            monotonic: 7,
            kernel: b"6.1",
            writer: b"0.1.0",
        };
        let process = Process {
            memory: self.memory,
            auxv: self.auxv,
            name: *b"tiny\0\0\0\0\0\0\0\0\0\0\0\0",
            umask: 0o22,
            dumpable: 1,
            timer_slack: 50_000,
            parent_death_signal: self.parent_death_signal,
            subreaper: 0,
            nice: 0,
            oom_score_adj: 0,
            leads: 0,
            directory_deleted: 0,
            directory_mode: 0o755,
            directory_owner: [0; 2],
            directory: self.directory,
            limits: [[u64::MAX; 2]; LIMITS],
            interval_timers: [[0; 2]; 3],
            program: b"/bin/tiny",
        };
        let credentials = Credentials {
            uids: [0; 4],
            gids: [0; 4],
            capabilities: [0; 5],
            securebits: 0,
            no_new_privs: 0,
            seccomp: 0,
            seccomp_filters: 0,
            namespaces: [0; NAMESPACES],
            groups: b"",
        };
        let cpu = Cpu {
            features: [0; FEATURE_WORDS],
            xcr0: 0,
            components: [[0; 2]; COMPONENTS],
        };
        let actions = Actions {
            actions: [Action::default(); SIGNALS],
            pending: self.pending_count,
        };
        append_own(to, Kind::Header, |to| to.put(&header)).unwrap();
        append_own(to, Kind::Cpu, |to| to.put(&cpu)).unwrap();
        append_own(to, Kind::Process, |to| to.put(&process)).unwrap();
        append_own(to, Kind::Credentials, |to| to.put(&credentials)).unwrap();
        append_own(to, Kind::Context, |to| {
            self.contexts.iter().try_for_each(|thread| to.put(thread))
        })
        .unwrap();
        append_own(to, Kind::Regions, |to| {
            self.regions.iter().try_for_each(|region| to.put(region))
        })
        .unwrap();
        append_own(to, Kind::Extents, |to| {
            self.extents.iter().try_for_each(|extent| to.put(extent))
        })
        .unwrap();
        append_own(to, Kind::Descriptors, |to| {
            self.descriptors.iter().try_for_each(|one| to.put(one))
        })
        .unwrap();
        append_own(to, Kind::Locks, |_| Ok(())).unwrap();
        append_own(to, Kind::Signals, |to| {
            to.put(&actions)?;
            self.pending.iter().try_for_each(|pending| to.put(pending))
        })
        .unwrap();
        append_own(to, Kind::Owners, |to| {
            self.owners.iter().try_for_each(|word| to.put(word))
        })
        .unwrap();
        append_own(to, Kind::Clocks, |to| to.put(&self.clocks)).unwrap();
        append_objects(to, &self.deleted);
        append_objects(to, &self.guards);
        append_objects(to, &self.policies);
        append_objects(to, &self.file_extents);
        append_objects(to, &self.epoll_entries);
        append_objects(to, &self.timers);
        append_objects(to, &self.signal_owners);
        append_objects(to, &self.lock_words);
        append_objects(to, &self.shared_segments);
        append_objects(to, &self.future_locks);
        append_objects(to, &self.protection_keys);
    }

    fn read(&self) -> Result<(), BadImage> {
        read(&self.file())
    }
}

/// Reads an image as the restorer does: count, head and notes, each bounded by the length of the file.
fn read(file: &[u8]) -> Result<(), BadImage> {
    let count = segment_count(file, |offset| file.get(offset as usize..))?;
    let head_end = page_up(head_size(count) as u64) as usize;
    let head = file
        .get(..head_end)
        .ok_or(BadImage::WrongLength(file.len() as u64, head_end as u64))?;
    let segments = ckpt_image::reader::Segments::new(head, count)?;
    let notes = segments.notes(file.len() as u64)?;
    let notes = &file[notes.offset as usize..(notes.offset + notes.file_size) as usize];
    Image::read(head, count, notes, file.len() as u64, crc32c).map(drop)
}

#[test]
fn a_whole_image_is_read() {
    assert_eq!(Parts::tiny().read(), Ok(()));
}

#[test]
fn an_image_cut_at_any_length_is_refused() {
    let file = Parts::tiny().file();
    for length in 0..file.len() {
        assert!(read(&file[..length]).is_err(), "cut to {length} bytes");
    }
}

#[test]
fn an_image_with_something_appended_is_refused() {
    let mut file = Parts::tiny().file();
    file.push(0);
    assert!(read(&file).is_err());
}

#[test]
fn every_flipped_byte_of_headers_and_notes_is_found() {
    let file = Parts::tiny().file();
    let places = (0..PAGE as usize).chain(3 * PAGE as usize..file.len());
    for place in places {
        for bits in [0x01, 0x80, 0xff] {
            let mut damaged = file.clone();
            damaged[place] ^= bits;
            assert!(read(&damaged).is_err(), "byte {place} changed by {bits:#x}");
        }
    }
}

/// Damage with a correct checksum: what a mistaken or malicious writer could produce.
#[test]
fn what_makes_no_sense_is_refused_though_its_checksum_is_right() {
    type Case = (&'static str, fn(&mut Parts));
    let cases: Vec<Case> = vec![
        ("another format", |parts| parts.format += 1),
        ("overlapping regions", |parts| parts.regions[1].start = CODE),
        ("regions out of order", |parts| parts.regions.swap(0, 1)),
        ("an empty region", |parts| parts.regions[0].end = CODE),
        ("a region behind its end", |parts| {
            parts.regions[0].end = CODE - PAGE
        }),
        ("an address that is no page's", |parts| {
            parts.regions[0].start += 1
        }),
        ("a kernel address", |parts| {
            parts.regions[1].end = 0xffff_8000_0000_0000
        }),
        ("the end of user space", |parts| {
            parts.regions[1].end = 0x8000_0000_0000
        }),
        ("page zero", |parts| parts.regions[0].start = 0),
        ("unknown protection", |parts| {
            parts.regions[0].protection = 8
        }),
        ("unknown backing", |parts| {
            parts.regions[0].backing_number = 99
        }),
        ("unknown region flags", |parts| {
            parts.regions[0].flags = 1 << 31
        }),
        ("a huge offset", |parts| {
            parts.regions[0].offset = !(PAGE - 1)
        }),
        ("a segment that is none of the regions'", |parts| {
            parts.segments[2].address += PAGE
        }),
        ("a segment too few", |parts| parts.segments.truncate(2)),
        ("a segment with other flags", |parts| {
            parts.segments[1].flags = PF_R | PF_W | PF_X
        }),
        ("a segment outside of the file", |parts| {
            parts.segments[2].offset = 1 << 40
        }),
        ("a segment whose end wraps", |parts| {
            parts.segments[2].memory_size = !(PAGE - 1)
        }),
        ("an extent outside of the segments", |parts| {
            parts.extents[1].address += PAGE
        }),
        ("an extent longer than its segment", |parts| {
            parts.extents[0].pages = 2
        }),
        ("an empty extent", |parts| parts.extents[0].pages = 0),
        ("extents out of order", |parts| parts.extents.swap(0, 1)),
        ("the same extent twice", |parts| {
            parts.extents[1] = parts.extents[0]
        }),
        ("code outside of code", |parts| {
            parts.contexts[0].registers.rip = STACK
        }),
        ("code nowhere", |parts| {
            parts.contexts[0].registers.rip = 8 * PAGE
        }),
        ("a stack that cannot be written", |parts| {
            parts.contexts[0].registers.rsp = CODE + 64
        }),
        ("a stack at zero", |parts| {
            parts.contexts[0].registers.rsp = 0
        }),
        ("a non-canonical instruction pointer", |parts| {
            parts.contexts[0].registers.rip = 1 << 62
        }),
        ("a non-canonical thread pointer", |parts| {
            parts.contexts[0].fs_base = 1 << 63
        }),
        ("the trap and I/O flags", |parts| {
            parts.contexts[0].registers.rflags |= 0x3000
        }),
        ("a frame outside of memory", |parts| {
            parts.contexts[0].frame = 8 * PAGE
        }),
        ("a sibling's code outside of code", |parts| {
            parts.contexts[2].registers.rip = STACK
        }),
        ("a sibling's stack that cannot be written", |parts| {
            parts.contexts[3].registers.rsp = CODE + 64
        }),
        ("a sibling's thread pointer in the kernel", |parts| {
            parts.contexts[1].fs_base = 0xffff_8000_0000_0000
        }),
        ("no thread", |parts| parts.contexts.clear()),
        ("a process without its main thread", |parts| {
            parts.contexts[0].tid = 1
        }),
        ("a thread twice", |parts| parts.contexts[2].tid = 3),
        ("the main thread twice", |parts| parts.contexts[1].tid = PID),
        ("threads out of order", |parts| parts.contexts.swap(1, 2)),
        ("a signal for nobody", |parts| parts.pending[2].tid = 4),
        ("a signal without a number", |parts| {
            parts.pending[0].info[0] = 0
        }),
        ("a signal beyond the last one", |parts| {
            parts.pending[1].info[0] = 65
        }),
        ("SIGKILL pending", |parts| parts.pending[2].info[0] = 9),
        ("SIGSTOP pending", |parts| parts.pending[3].info[0] = 19),
        ("a signal more than are there", |parts| {
            parts.pending_count += 1
        }),
        ("a signal too many", |parts| parts.pending_count -= 1),
        ("a heap in the kernel", |parts| {
            parts.memory.brk = 0xffff_8000_0000_0000
        }),
        ("a heap that ends before it begins", |parts| {
            parts.memory.brk = CODE - PAGE
        }),
        ("arguments at zero", |parts| parts.memory.arg_start = 0),
        ("an environment that ends before it begins", |parts| {
            parts.memory.env_end -= 1
        }),
        ("no code", |parts| parts.memory.end_code = CODE),
        ("half an entry of the auxiliary vector", |parts| {
            parts.auxv = &[0; 24]
        }),
        ("an endless auxiliary vector", |parts| {
            parts.auxv = &[0; 4096]
        }),
        ("a parent's end by signal 65", |parts| {
            parts.parent_death_signal = 65
        }),
        ("a directory with a NUL in its path", |parts| {
            parts.directory = b"/\0"
        }),
        ("a region with a NUL in its name", |parts| {
            parts.regions[1].name = b"[stack\0]"
        }),
        ("a note behind the last one", |parts| {
            parts.behind_the_last = true
        }),
        ("locks for what is mapped later, twice", |parts| {
            parts.future_locks = vec![FutureLocks { flags: 2 }; 2]
        }),
        ("the key that no process allocates", |parts| {
            parts.protection_keys = vec![protection_keys(1)]
        }),
        ("a key of the kernel's that the program has", |parts| {
            parts.protection_keys = vec![protection_keys(1 << EXECUTE_ONLY)]
        }),
        ("a key of memory in a process without keys", |parts| {
            parts.regions[1].flags |= 2 << vm_flags::KEY_SHIFT
        }),
        ("two vdsos", |parts| {
            for region in &mut parts.regions {
                region.backing_number = Backing::Vdso as u32;
                region.name = b"[vdso]";
            }
        }),
        ("a huge vdso", |parts| {
            let mut vdso = region(BEHIND, 257, 5);
            vdso.backing_number = Backing::Vdso as u32;
            vdso.name = b"[vdso]";
            parts.add_region(vdso);
        }),
        ("shared memory that is larger than user space", |parts| {
            let mut shared = region(BEHIND, 1, 3);
            shared.backing_number = Backing::SharedAnonymous as u32;
            shared.offset = TASK_SIZE;
            parts.add_region(shared);
        }),
        ("an extent in memory of a file without a name", |parts| {
            parts.regions[1] = shared_file(STACK, 1);
        }),
        ("a mutex behind the end of a file without a name", |parts| {
            parts.add_region(shared_file(BEHIND, 2));
            parts.owners[0].address = BEHIND + PAGE;
        }),
        ("more of a shared segment than there is", |parts| {
            let mut shown = shared_file(BEHIND, 3);
            (shown.file.device, shown.file.inode) = (system_v::DEVICE, 5);
            parts.shared_segments = vec![shared_segment()];
            parts.add_region(shown);
        }),
        ("an epoll entry of no descriptor", |parts| {
            parts.epoll_entries = vec![epoll_entry(2, 0)]
        }),
        ("an epoll entry of what is no instance", |parts| {
            parts.epoll_entries = vec![epoll_entry(1, 0)]
        }),
        ("an epoll entry for no descriptor", |parts| {
            parts.descriptors[1].kind_number = DescriptorKind::Epoll as u32;
            parts.epoll_entries = vec![epoll_entry(1, 2)]
        }),
        ("a timer of what is no timer", |parts| {
            parts.timers = vec![timer(1)]
        }),
        ("a signal for no descriptor", |parts| {
            parts.signal_owners = vec![signal_owner(7)]
        }),
        ("a mutex in memory that cannot be written", |parts| {
            parts.owners[0].address = CODE + 8
        }),
        ("a mutex outside of memory", |parts| {
            parts.owners[0].address = 8 * PAGE
        }),
        ("clocks that are read outside of code", |parts| {
            parts.clocks.entry = STACK
        }),
        ("a mutex at an odd address", |parts| {
            parts.owners[0].address += 1
        }),
        ("the word of a lock at an odd address", |parts| {
            parts.lock_words[0].address += 1
        }),
        ("the words of a lock twice", |parts| {
            parts.lock_words[1] = parts.lock_words[0]
        }),
        ("the word of a lock of no thread", |parts| {
            parts.lock_words[0].tid = 9999
        }),
        ("the word of a lock that names nobody", |parts| {
            parts.lock_words[0].value = 0
        }),
        ("the word of a lock that names what is no id", |parts| {
            parts.lock_words[0].value = 1 << 31
        }),
        ("a deleted device", |parts| {
            parts.deleted[0].mode = 0o060_600
        }),
        ("a deleted file without end", |parts| {
            parts.deleted[1].size = u64::MAX
        }),
        ("content of no deleted file", |parts| {
            parts.file_extents[2].file = 2
        }),
        ("content of deleted files out of order", |parts| {
            parts.file_extents.swap(1, 2)
        }),
        ("content behind the end of a deleted file", |parts| {
            parts.file_extents[1].offset = 901
        }),
        ("content of a deleted file behind the end", |parts| {
            parts.file_extents[0].place = 1 << 40
        }),
        ("content of a deleted file whose end wraps", |parts| {
            parts.file_extents[0].place = u64::MAX
        }),
        ("no content of a deleted file", |parts| {
            parts.file_extents[0].length = 0
        }),
        ("too much content at once", |parts| {
            parts.deleted[0].size = 1 << 40;
            parts.file_extents[0].length = 1 << 31
        }),
        ("a guard over a mutex", |parts| {
            parts.guards = vec![guard(STACK, STACK + PAGE)];
        }),
        ("a guard outside of memory", |parts| {
            parts.guards = vec![guard(CODE - PAGE, CODE)];
        }),
        ("a guard that is longer than its region", |parts| {
            parts.guards = vec![guard(CODE, CODE + 2 * PAGE)];
        }),
        ("half a guard page", |parts| {
            parts.guards = vec![guard(CODE, CODE + 8)];
        }),
        ("a guard without length", |parts| {
            parts.guards = vec![guard(CODE, CODE)];
        }),
        ("a guard twice", |parts| {
            parts.guards = vec![guard(CODE, CODE + PAGE); 2];
        }),
        ("a policy outside of memory", |parts| {
            parts.policies = vec![policy(CODE + PAGE, CODE + 2 * PAGE)];
        }),
        ("policies out of order", |parts| {
            parts.policies = [STACK, CODE].map(|at| policy(at, at + PAGE)).into();
        }),
        ("memory of a file that is not there", |parts| {
            parts.regions[0].backing_number = Backing::SharedUnnamedFile as u32;
            (parts.regions[0].file.device, parts.regions[0].file.inode) = (1, 3);
        }),
        ("private memory of a file that is not there", |parts| {
            parts.regions[0].backing_number = Backing::PrivateUnnamedFile as u32;
            (parts.regions[0].file.device, parts.regions[0].file.inode) = (1, 3);
        }),
        ("memory of a deleted directory", |parts| {
            parts.regions[0].backing_number = Backing::SharedUnnamedFile as u32;
            (parts.regions[0].file.device, parts.regions[0].file.inode) = (1, 1);
            parts.deleted[0].mode = 0o040_700;
        }),
        ("descriptors out of order", |parts| {
            parts.descriptors.swap(0, 1)
        }),
        ("a descriptor twice", |parts| {
            parts.descriptors[1].number = 0
        }),
        ("a duplicate of nothing", |parts| {
            parts.descriptors[0].description = 7
        }),
        ("an unknown kind of descriptor", |parts| {
            parts.descriptors[0].kind_number = 77
        }),
        ("an impossible descriptor", |parts| {
            parts.descriptors[1].number = u32::MAX
        }),
    ];
    for (what, change) in cases {
        let mut parts = Parts::tiny();
        change(&mut parts);
        assert!(parts.read().is_err(), "{what}");
    }
}

/// What the cases above change does no harm where it fits.
#[test]
fn what_makes_sense_is_read() {
    let mut parts = Parts::tiny();
    parts.descriptors[1].kind_number = DescriptorKind::Epoll as u32;
    parts.descriptors.push(descriptor(3));
    parts.descriptors[2].kind_number = DescriptorKind::Timer as u32;
    parts.epoll_entries = (0..3000)
        .map(|index| epoll_entry(1, [3, 0, 1][index % 3]))
        .collect();
    parts.timers = vec![timer(3)];
    parts.signal_owners = vec![signal_owner(0)];
    parts.future_locks = vec![FutureLocks { flags: 2 }];
    parts.protection_keys = vec![protection_keys(1 << 1)];
    parts.regions[1].flags |= 2 << vm_flags::KEY_SHIFT;
    parts.shared_segments = vec![shared_segment()];
    parts.add_region(shared_file(BEHIND, 2));
    let mut shown = shared_file(BEHIND + 4 * PAGE, 2);
    (shown.file.device, shown.file.inode) = (system_v::DEVICE, 5);
    parts.add_region(shown);
    let mut vdso = region(BEHIND + 8 * PAGE, 2, 5);
    vdso.backing_number = Backing::Vdso as u32;
    vdso.name = b"[vdso]";
    parts.add_region(vdso);
    parts.owners.push(OwnerWord {
        address: BEHIND + 8,
    });
    assert_eq!(parts.read(), Ok(()));
    parts.epoll_entries[2999].target = 2;
    assert!(parts.read().is_err());
}

#[test]
fn all_of_a_thousand_threads_are_checked() {
    let mut parts = Parts::tiny();
    parts.contexts = (0..1000).map(|index| thread(PID + index)).collect();
    (parts.pending, parts.pending_count) = (vec![], 0);
    assert_eq!(parts.read(), Ok(()));
    for index in [0, 1, 254, 255, 256, 257, 511, 512, 999] {
        let mut wild = parts.clone();
        wild.contexts[index].registers.rip = 8 * PAGE;
        assert!(wild.read().is_err(), "thread {index}");
    }
}

#[test]
fn files_of_other_kinds_are_called_by_their_name() {
    let message = |bytes: &[u8]| read(bytes).unwrap_err().to_string();
    assert_eq!(message(b""), "not a checkpoint image");
    assert_eq!(message(b"#!/bin/sh\n"), "not a checkpoint image");
    let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    assert_eq!(
        message(&program),
        "a program or library, not a checkpoint image"
    );
    let mut other_machine = Parts::tiny().file();
    other_machine[18] = 183;
    assert_eq!(
        message(&other_machine),
        "made on another kind of machine than x86-64"
    );
    let mut parts = Parts::tiny();
    parts.format = FORMAT + 1;
    assert_eq!(
        parts.read().unwrap_err().to_string(),
        format!(
            "written in format {}, and this restorer reads format {FORMAT}",
            FORMAT + 1
        )
    );
}

/// Reads the index of a container with the image of `parts`, whose blocks have these lengths; `change` makes it another one. Where
/// the blocks lie in the image.
fn read_blocks(
    parts: &Parts,
    lengths: &[u32],
    change: impl FnOnce(&mut Container),
) -> Result<Vec<u64>, BadImage> {
    let file = parts.file();
    let (head, notes) = (&file[..PAGE as usize], &file[3 * PAGE as usize..]);
    let image = Image::read(head, parts.segments.len(), notes, file.len() as u64, crc32c)?;
    let index: Vec<u8> = lengths.iter().flat_map(|one| one.to_le_bytes()).collect();
    let mut container = Container {
        magic: MAGIC,
        version: VERSION,
        head_size: head.len() as u64,
        data_size: lengths.iter().map(|&length| u64::from(length)).sum(),
        blocks: lengths.len() as u64,
        notes_size: notes.len() as u64,
        image_size: file.len() as u64,
        index_checksum: crc32c(&index),
        checksum: 0,
    };
    change(&mut container);
    let blocks = Blocks::read(&container, &image, &index, crc32c)?;
    Ok(blocks.iter().map(|block| block.offset).collect())
}

#[test]
fn each_extent_is_a_block() {
    let mut parts = Parts::tiny();
    parts.file_extents.clear();
    for lengths in [[1, 1], [4096, 4096], [100, 4095]] {
        assert_eq!(
            read_blocks(&parts, &lengths, |_| {}),
            Ok(vec![PAGE, 2 * PAGE])
        );
    }
}

#[test]
fn blocks_that_do_not_fit_the_extents_are_refused() {
    let mut parts = Parts::tiny();
    parts.file_extents.clear();
    let refused = |lengths: &[u32]| read_blocks(&parts, lengths, |_| {}).is_err();
    let wrong: [&[u32]; 7] = [
        &[],
        &[100],
        &[100, 100, 100],
        &[0, 100],
        &[100, 0],
        &[4097, 100],
        &[100, u32::MAX],
    ];
    assert!(wrong.into_iter().all(refused));
    let changed = |change: fn(&mut Container)| read_blocks(&parts, &[100, 100], change).is_err();
    assert!(changed(|container| container.data_size += 1));
    assert!(changed(|container| container.data_size = 0));
    assert!(changed(|container| container.blocks = 1));
    assert!(changed(|container| container.notes_size -= 4));
    assert!(changed(|container| container.image_size += 1));
    assert!(changed(|container| container.head_size += 1));
    assert!(changed(|container| container.index_checksum ^= 1));
}

#[test]
fn extents_of_a_container_do_not_overlap() {
    let refused = |edit: fn(&mut Parts), lengths: &[u32]| {
        let mut parts = Parts::tiny();
        parts.file_extents.clear();
        edit(&mut parts);
        // An image as it is may have them, since nobody is harmed.
        assert_eq!(parts.read(), Ok(()));
        read_blocks(&parts, lengths, |_| {}).is_err()
    };
    assert!(refused(|parts| parts.segments[2].offset = PAGE, &[9, 9]));
    assert!(refused(
        |parts| parts.segments[1].offset = 2 * PAGE,
        &[9, 9]
    ));
    assert!(refused(|parts| parts.segments[1].offset = 0, &[9, 9]));
    assert!(refused(
        |parts| parts.file_extents = vec![file_extent(0, 0)],
        &[9, 9, 9]
    ));
    assert!(refused(
        |parts| {
            let mut extent = file_extent(0, 0);
            extent.place = 3 * PAGE;
            parts.file_extents = vec![extent];
        },
        &[9, 9, 9]
    ));
}
