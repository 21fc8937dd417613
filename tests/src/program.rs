//! The C and C++ programs in `programs/`, and the directives in them.
//!
//! | directive | meaning |
//! |---|---|
//! | `//# cflags: ...`, `//# ldflags: ...` | more arguments for the compiler |
//! | `//# needs: avx512f` | a flag of `/proc/cpuinfo`, `root`, `io_uring`, `guard_pages`, `mseal`, `droppable`, `numa`, `aio`, `modify_ldt`, `hugetlb`, a path, or a descriptor that `call_of` knows; otherwise the program is not run |
//! | `//# env: NAME=VALUE` | a variable of its environment |
//! | `//# aslr: off` | addresses are not random |
//! | `//# refused: TEXT` | the checkpoint is refused with this text, and the program goes on |
//! | `//# memory: changes` | it maps and unmaps memory all the time, or its restart does, or its threads end by themselves, or it changes its limits, or what it has open gets another name, so what `/proc` shows before and after is not the same |
//! | `//# max-image: 4M` | the image takes no more of the disk than this |
//! | `//# restorer: --any-owner` | an option that the restart needs |

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::artefacts::target_dir;
use crate::launch::{Launch, Restart};
use crate::place::Place;
use crate::process::Process;
use crate::requirements::is_root;

/// A program of `programs/`, compiled.
#[derive(Debug)]
pub struct Program {
    file: String,
    binary: PathBuf,
    directives: Vec<(String, String)>,
}

impl Program {
    /// Compiles a program, unless that was done before.
    ///
    /// # Panics
    /// If it does not compile.
    #[must_use]
    pub fn compile(file: &str) -> Self {
        Self::compile_in("programs", file)
    }

    /// Compiles a program of `workloads/`, which has no directives.
    ///
    /// # Panics
    /// If it does not compile.
    #[must_use]
    pub fn workload(file: &str) -> Self {
        Self::compile_in("workloads", file)
    }

    fn compile_in(directory: &str, file: &str) -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let source = here.join(directory).join(file);
        let text = fs::read_to_string(&source).expect("the program exists");
        let directives = text
            .lines()
            .filter_map(|line| line.strip_prefix("//# ")?.split_once(':'))
            .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
            .collect();
        let program = Self {
            file: file.to_owned(),
            binary: target_dir().join(directory).join(file.replace('.', "_")),
            directives,
        };
        let headers = ["survive.h", "thread.h", "socket.h", "smaps.h"]
            .map(|name| here.join("programs").join(name));
        // Replacing a program that another test runs already would look to that test like a deleted executable.
        let _lock = program.lock();
        if !is_older(&source, &program.binary)
            || headers
                .iter()
                .any(|header| !is_older(header, &program.binary))
        {
            program.run_compiler(&source);
        }
        program
    }

    /// Keeps other tests, and other test binaries, from compiling the same program at this moment.
    fn lock(&self) -> File {
        let directory = self.binary.parent().expect("it is in a directory");
        fs::create_dir_all(directory).expect("the target directory is writable");
        let file = File::create(self.binary.with_extension("lock")).expect("it is writable");
        file.lock().expect("the file system has locks");
        file
    }

    fn run_compiler(&self, source: &Path) {
        let is_cpp = source
            .extension()
            .is_some_and(|extension| extension == "cc");
        // What is not finished must not look as though it were.
        let unfinished = self.binary.with_extension("unfinished");
        let output = compiler(is_cpp)
            .args(["-O1", "-g", "-Wall", "-Wextra", "-Werror"])
            .args(self.words("cflags"))
            .arg(source)
            .arg("-o")
            .arg(&unfinished)
            .args(self.words("ldflags"))
            .output()
            .expect("the compiler can be started");
        assert!(
            output.status.success(),
            "{}: {}",
            self.file,
            String::from_utf8_lossy(&output.stderr)
        );
        fs::rename(&unfinished, &self.binary).expect("the target directory is writable");
    }

    /// The executable.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.binary
    }

    /// The values of a directive.
    pub fn directive<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.directives
            .iter()
            .filter(move |(directive, _)| directive == name)
            .map(|(_, value)| value.as_str())
    }

    /// Whether its memory is laid out in another way from one moment to the next.
    #[must_use]
    pub fn changes_its_memory(&self) -> bool {
        self.directive("memory").any(|value| value == "changes")
    }

    fn words<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.directive(name).flat_map(str::split_whitespace)
    }

    /// Why it cannot run on this machine.
    #[must_use]
    pub fn hindrance(&self) -> Option<String> {
        let cpu = fs::read_to_string("/proc/cpuinfo").expect("/proc is mounted");
        let flags = cpu
            .lines()
            .find(|line| line.starts_with("flags"))
            .unwrap_or_default();
        self.words("needs").find_map(|need| match need {
            "root" => (!is_root()).then(|| "the tests do not run as root".to_owned()),
            "io_uring" => {
                let disabled = fs::read_to_string("/proc/sys/kernel/io_uring_disabled");
                (!disabled.is_ok_and(|value| value.trim() == "0"))
                    .then(|| "io_uring is disabled".to_owned())
            }
            "guard_pages" => {
                (!has_guard_pages()).then(|| "this kernel has no guard pages".to_owned())
            }
            need if call_of(need).is_some() => {
                (!makes_descriptor(need)).then(|| format!("{need} is not there, or not permitted"))
            }
            "hugetlb" => (!has_huge_pages())
                .then(|| "no huge pages are set aside (vm.nr_hugepages)".to_owned()),
            path if path.starts_with('/') => {
                (!Path::new(path).exists()).then(|| format!("there is no {path}"))
            }
            "aio" => (!has_aio()).then(|| "this kernel has no io_setup".to_owned()),
            "modify_ldt" => (!has_modify_ldt()).then(|| "this kernel has no modify_ldt".to_owned()),
            "mseal" => (!has_mseal()).then(|| "this kernel does not seal memory".to_owned()),
            "numa" => (!has_policies()).then(|| "this kernel has no memory policies".to_owned()),
            "droppable" => {
                (!has_droppable()).then(|| "this kernel has no droppable memory".to_owned())
            }
            flag if flags.split(' ').any(|have| have == flag) => None,
            flag => Some(format!("this CPU has no {flag}")),
        })
    }

    /// The largest size that its image may have, in bytes on the disk.
    ///
    /// # Panics
    /// If the directive is malformed.
    #[must_use]
    pub fn largest_image(&self) -> Option<u64> {
        let mebibytes: u64 = self
            .directive("max-image")
            .next()?
            .strip_suffix('M')?
            .parse()
            .expect("a number");
        Some(mebibytes << 20)
    }

    /// The way to start it under libckpt.
    #[must_use]
    pub fn launch(&self) -> Launch {
        let mut launch = Launch::under_libckpt(&self.binary);
        for (name, value) in self
            .directive("env")
            .filter_map(|pair| pair.split_once('='))
        {
            launch = launch.env(name, value);
        }
        if self.directive("aslr").any(|value| value == "off") {
            launch.without_aslr()
        } else {
            launch
        }
    }

    /// Starts it under libckpt and waits until its state is set up.
    #[must_use]
    pub fn start(&self, place: &Place) -> Process {
        let mut process = self.launch().start(place);
        process.wait_until_ready();
        process
    }

    /// Whether it gets its old process id at each restart.
    #[must_use]
    pub fn keeps_ids(&self) -> bool {
        self.words("restorer").any(|option| option == "--pid")
    }

    /// Restores it from `myckpt`.
    #[must_use]
    pub fn restore(&self, place: &Place, how: Restart) -> Process {
        Launch::restorer(self.words("restorer"))
            .args(how.options())
            .arg("--")
            .arg(place.file("myckpt"))
            .start(place)
    }
}

fn is_older(source: &Path, binary: &Path) -> bool {
    let changed = |path| fs::metadata(path).and_then(|file| file.modified()).ok();
    changed(source) < changed(binary)
}

fn compiler(is_cpp: bool) -> Command {
    let target = "x86_64-unknown-linux-gnu";
    let mut build = cc::Build::new();
    build
        .cargo_metadata(false)
        .no_default_flags(true)
        .target(target)
        .host(target)
        .opt_level(1)
        .cpp(is_cpp);
    build.get_compiler().to_command()
}

/// Whether programs can make segments (`CONFIG_MODIFY_LDT_SYSCALL`): reading the table that this process does not have.
fn has_modify_ldt() -> bool {
    // SAFETY: nothing is read into no room.
    unsafe { libc::syscall(libc::SYS_modify_ldt, 0, 0, 0) == 0 }
}

/// The system call that makes what is needed, and its arguments.
fn call_of(need: &str) -> Option<(libc::c_long, [usize; 5])> {
    /// `struct perf_event_attr` up to `PERF_ATTR_SIZE_VER0` (64 bytes): a software event, of user code only.
    static PERFORMANCE: [u32; 16] = [1, 64, 0, 0, 0, 0, 0, 0, 0, 0, 1 << 5, 0, 0, 0, 0, 0];
    /// `union bpf_attr`: an array of one value of 4 bytes.
    static MAP: [u32; 4] = [2, 4, 4, 1];
    const USER_MODE_ONLY: usize = 1;
    const HUGE_PAGES: usize = 4;
    const REPORT_FID: usize = 0x200;
    const NO_PROCESSOR: usize = usize::MAX;
    let performance = PERFORMANCE.as_ptr().addr();
    let map = MAP.as_ptr().addr();
    Some(match need {
        "userfaultfd" => (libc::SYS_userfaultfd, [USER_MODE_ONLY, 0, 0, 0, 0]),
        "perf_event" => (
            libc::SYS_perf_event_open,
            [performance, 0, NO_PROCESSOR, NO_PROCESSOR, 0],
        ),
        "fanotify" => (libc::SYS_fanotify_init, [REPORT_FID, 0, 0, 0, 0]),
        "bpf" => (libc::SYS_bpf, [0, map, 16, 0, 0]),
        "memfd_hugetlb" => (
            libc::SYS_memfd_create,
            [c"".as_ptr().addr(), HUGE_PAGES, 0, 0, 0],
        ),
        "memfd_secret" => (libc::SYS_memfd_secret, [0; 5]),
        _ => return None,
    })
}

/// Whether the kernel makes what is needed for us.
fn makes_descriptor(need: &str) -> bool {
    let Some((number, [a, b, c, d, e])) = call_of(need) else {
        return false;
    };
    // SAFETY: the kernel reads the statics, whose sizes they tell, or it is told; the descriptor is ours.
    unsafe {
        let fd = libc::syscall(number, a, b, c, d, e);
        fd >= 0 && libc::syscall(libc::SYS_close, fd) == 0
    }
}

/// Whether huge pages are set aside, enough for a program and for what is made of it.
fn has_huge_pages() -> bool {
    let free = fs::read_to_string("/proc/meminfo").expect("/proc is mounted");
    let free = free
        .lines()
        .find_map(|line| line.strip_prefix("HugePages_Free:"));
    free.and_then(|free| free.trim().parse().ok()).unwrap_or(0) >= 16
}

/// Whether the kernel has asynchronous input and output of its own.
fn has_aio() -> bool {
    let mut context = 0usize;
    // SAFETY: the kernel writes one number, and the context is ours.
    unsafe {
        libc::syscall(libc::SYS_io_setup, 1, &raw mut context) == 0
            && libc::syscall(libc::SYS_io_destroy, context) == 0
    }
}

/// Whether the kernel has memory policies (NUMA), and lets us use them.
fn has_policies() -> bool {
    // SAFETY: the kernel only says whether it knows the call.
    unsafe { libc::syscall(libc::SYS_get_mempolicy, 0, 0, 0, 0, 0) == 0 }
}

/// Whether the kernel knows `mseal` (Linux 6.10).
fn has_mseal() -> bool {
    // SAFETY: no memory is named, so none is changed; the kernel only says whether it knows the call.
    unsafe { libc::syscall(libc::SYS_mseal, 0, 0, 0) == 0 }
}

/// Whether the kernel knows `MAP_DROPPABLE` (Linux 6.11).
fn has_droppable() -> bool {
    const MAP_DROPPABLE: i32 = 8;
    let (protection, flags) = (libc::PROT_READ, MAP_DROPPABLE | libc::MAP_ANONYMOUS);
    // SAFETY: fresh memory is mapped, and unmapped before anybody uses it.
    unsafe {
        let memory = libc::mmap(std::ptr::null_mut(), 1, protection, flags, -1, 0);
        memory != libc::MAP_FAILED && libc::munmap(memory, 1) == 0
    }
}

/// Whether the kernel knows `MADV_GUARD_INSTALL` (Linux 6.13).
fn has_guard_pages() -> bool {
    const MADV_GUARD_INSTALL: i32 = 102;
    // SAFETY: no memory is named, so none is changed; the kernel only says whether it knows the advice.
    unsafe { libc::madvise(std::ptr::null_mut(), 0, MADV_GUARD_INSTALL) == 0 }
}
