//! System V semaphores and message queues: the kernel does not tell which ones a process uses.
//!
//! What was noted is read in a signal handler that may have interrupted the noting, so each id is one word.

use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};

use ckpt_sys::calls;
use libc::{c_int, key_t};

interposed! {
    /// semget(2)
    fn semget(key: key_t, count: c_int, flags: c_int) -> c_int as next {
        let id = next()(key, count, flags);
        SETS.note(id);
        id
    }

    /// msgget(2)
    fn msgget(key: key_t, flags: c_int) -> c_int as next {
        let id = next()(key, flags);
        QUEUES.note(id);
        id
    }
}

/// As many as the kernel has at once (`IPCMNI` in ipc/util.h), unless it was started with `ipcmni_extend`.
const ROOM: usize = 1 << 15;

/// Ids by their lower bits, which are the kernel's own index: a new id in the place of another says that the other is gone.
struct Table {
    /// Each is the id and 1; 0 if there is none.
    ids: [AtomicU32; ROOM],
    /// Behind the last one. The kernel begins with low ones, and memory that nobody has touched stays untouched.
    end: AtomicUsize,
}

/// What was noted of one kind; the table is null before the first.
struct Noted(AtomicPtr<Table>);

static SETS: Noted = Noted(AtomicPtr::new(ptr::null_mut()));
static QUEUES: Noted = Noted(AtomicPtr::new(ptr::null_mut()));

impl Noted {
    /// Notes an id, unless it is negative or there is no memory.
    fn note(&self, id: c_int) {
        let Ok(id) = u32::try_from(id) else {
            return;
        };
        let Some(table) = self.table_or_new() else {
            return;
        };
        let index = id as usize % ROOM;
        table.ids[index].store(id + 1, Ordering::Relaxed);
        table.end.fetch_max(index + 1, Ordering::Release);
    }

    fn table(&self) -> Option<&'static Table> {
        // SAFETY: a table that is there stays.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }

    fn table_or_new(&self) -> Option<&'static Table> {
        if let Some(table) = self.table() {
            return Some(table);
        }
        // Fresh memory, all zeros, is an empty table.
        let new = calls::map_anonymous(size_of::<Table>()).ok()? as *mut Table;
        let null = ptr::null_mut();
        let put = self
            .0
            .compare_exchange(null, new, Ordering::AcqRel, Ordering::Acquire);
        if put.is_err() {
            // SAFETY: nobody has seen the new memory.
            let _ = unsafe { calls::unmap(new as usize, size_of::<Table>()) };
        }
        self.table()
    }

    fn iter(&self) -> impl Iterator<Item = i32> {
        let ids = self.table().map_or(&[][..], |table| {
            let end = table.end.load(Ordering::Acquire).min(ROOM);
            &table.ids[..end]
        });
        ids.iter()
            .filter_map(|id| id.load(Ordering::Relaxed).checked_sub(1))
            .map(|id| id as i32)
    }
}

/// Ids of the sets of semaphores that the program has asked for. Async-signal-safe.
pub fn sets() -> impl Iterator<Item = i32> {
    SETS.iter()
}

/// Ids of the message queues that the program has asked for. Async-signal-safe.
pub fn queues() -> impl Iterator<Item = i32> {
    QUEUES.iter()
}
