//! The System V semaphores and the message queue that `sysv_semaphores.c` makes, under keys of its file `key`.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::ptr;

use crate::place::Place;

/// The key that ftok(3) makes of the file and a letter; -1 if the file is not there.
#[must_use]
pub fn key(place: &Place, letter: u8) -> libc::key_t {
    let path = CString::new(place.file("key").as_os_str().as_bytes()).expect("a path has no NUL");
    // SAFETY: the path ends with NUL.
    unsafe { libc::ftok(path.as_ptr(), letter.into()) }
}

/// Id of the set of semaphores.
#[must_use]
pub fn set(place: &Place) -> Option<i32> {
    let key = key(place, b's');
    // SAFETY: the call takes numbers.
    let id = unsafe { libc::semget(key, 0, 0) };
    (key != -1 && id >= 0).then_some(id)
}

/// Id of the queue.
#[must_use]
pub fn queue(place: &Place) -> Option<i32> {
    let key = key(place, b'q');
    // SAFETY: the call takes numbers.
    let id = unsafe { libc::msgget(key, 0) };
    (key != -1 && id >= 0).then_some(id)
}

/// Removes both, as far as they are there.
pub fn remove(place: &Place) {
    // SAFETY: the commands take no structs.
    unsafe {
        set(place).map(|id| libc::semctl(id, 0, libc::IPC_RMID));
        queue(place).map(|id| libc::msgctl(id, libc::IPC_RMID, ptr::null_mut()));
    }
}
