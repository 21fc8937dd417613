//! A growing array in memory of its own, straight from `mmap(2)`.

use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::ptr::{self, NonNull};
use core::slice;

use ckpt_image::segments::Span;
use ckpt_image::{PAGE, page_up};

use crate::{Errno, calls};

/// A growing array of plain values. Growing may move it, which changes the mappings of the process.
#[derive(Debug)]
pub struct MapVec<T: Copy> {
    memory: NonNull<T>,
    mapped: usize,
    length: usize,
    owns: PhantomData<T>,
}

impl<T: Copy> MapVec<T> {
    /// An empty array, for which nothing is mapped yet.
    #[must_use]
    pub const fn new() -> Self {
        assert!(align_of::<T>() <= PAGE as usize && size_of::<T>() > 0);
        Self {
            memory: NonNull::dangling(),
            mapped: 0,
            length: 0,
            owns: PhantomData,
        }
    }

    /// An empty array with room for `capacity` values. Memory is used only as far as values are written.
    ///
    /// # Errors
    /// `ENOMEM` if the address space or a limit of it is used up.
    pub fn with_capacity(capacity: usize) -> Result<Self, Errno> {
        let mut new = Self::new();
        new.reserve(capacity)?;
        Ok(new)
    }

    /// The number of values for which there is room without growing.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.mapped / size_of::<T>()
    }

    /// The addresses that the array takes up.
    #[must_use]
    pub fn span(&self) -> Span {
        let start = if self.mapped == 0 {
            0
        } else {
            self.memory.as_ptr() as u64
        };
        Span::new(start, start + self.mapped as u64)
    }

    /// Makes room for `capacity` values in all.
    ///
    /// # Errors
    /// `ENOMEM` if the address space or a limit of it is used up; nothing has changed then.
    pub fn reserve(&mut self, capacity: usize) -> Result<(), Errno> {
        if capacity <= self.capacity() {
            return Ok(());
        }
        let bytes = capacity
            .checked_mul(size_of::<T>())
            .filter(|&bytes| bytes < 1 << 46)
            .ok_or(Errno::ENOMEM)?;
        let bytes = page_up(bytes as u64) as usize;
        let address = if self.mapped == 0 {
            calls::map_anonymous(bytes)?
        } else {
            // SAFETY: the mapping is ours alone, and nobody holds a reference into it while we have it mutably.
            unsafe { calls::remap_anywhere(self.memory.as_ptr() as usize, self.mapped, bytes)? }
        };
        self.memory = NonNull::new(address as *mut T).ok_or(Errno::ENOMEM)?;
        self.mapped = bytes;
        Ok(())
    }

    /// Appends a value.
    ///
    /// # Errors
    /// As for [`Self::reserve`].
    pub fn push(&mut self, value: T) -> Result<(), Errno> {
        self.extend(slice::from_ref(&value))
    }

    /// Appends a value for which there is room: nothing is mapped or moved, so that nothing can fail.
    ///
    /// # Panics
    /// If there is none, which is a mistake of whoever has made the room.
    pub fn push_into_room(&mut self, value: T) {
        assert!(
            self.length < self.capacity(),
            "more values than were counted"
        );
        // SAFETY: there is room behind the first `length` values.
        unsafe { self.memory.as_ptr().add(self.length).write(value) };
        self.length += 1;
    }

    /// Appends values.
    ///
    /// # Errors
    /// As for [`Self::reserve`].
    pub fn extend(&mut self, values: &[T]) -> Result<(), Errno> {
        let needed = self.length + values.len();
        if needed > self.capacity() {
            self.reserve(needed.max(2 * self.capacity()))?;
        }
        // SAFETY: (1) there is room behind the first `length` values; (2) `values` cannot be in our own memory, which
        // we have mutably.
        unsafe {
            ptr::copy_nonoverlapping(
                values.as_ptr(),
                self.memory.as_ptr().add(self.length),
                values.len(),
            )
        };
        self.length = needed;
        Ok(())
    }

    /// Forgets all but the first `length` values.
    pub fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }

    /// Leaves the memory mapped for the rest of the process's life.
    #[must_use]
    pub fn leak<'a>(self) -> &'a mut [T]
    where
        T: 'a,
    {
        let (memory, length) = (self.memory, self.length);
        core::mem::forget(self);
        // SAFETY: the first `length` values are initialised, and with `self` forgotten nobody else refers to them.
        unsafe { slice::from_raw_parts_mut(memory.as_ptr(), length) }
    }
}

impl MapVec<u8> {
    /// An array of `length` zero bytes.
    ///
    /// # Errors
    /// As for [`Self::reserve`].
    pub fn zeroed(length: usize) -> Result<Self, Errno> {
        let mut new = Self::with_capacity(length)?;
        // Fresh anonymous memory is zero.
        new.length = length;
        Ok(new)
    }
}

impl MapVec<u8> {
    /// Appends `count` zero bytes.
    ///
    /// # Errors
    /// As for [`Self::reserve`].
    pub fn extend_zeroed(&mut self, count: usize) -> Result<(), Errno> {
        let needed = self.length + count;
        if needed > self.capacity() {
            self.reserve(needed.max(2 * self.capacity()))?;
        }
        // SAFETY: there is room behind the first `length` values.
        unsafe { ptr::write_bytes(self.memory.as_ptr().add(self.length), 0, count) };
        self.length = needed;
        Ok(())
    }
}

impl<T: Copy> Default for MapVec<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Copy> Deref for MapVec<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: the first `length` values are initialised.
        unsafe { slice::from_raw_parts(self.memory.as_ptr(), self.length) }
    }
}

impl<T: Copy> DerefMut for MapVec<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: the first `length` values are initialised, and we have them mutably.
        unsafe { slice::from_raw_parts_mut(self.memory.as_ptr(), self.length) }
    }
}

impl<T: Copy> Drop for MapVec<T> {
    fn drop(&mut self) {
        if self.mapped != 0 {
            // SAFETY: the mapping is ours alone.
            let _ = unsafe { calls::unmap(self.memory.as_ptr() as usize, self.mapped) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_and_keeps_what_it_has() {
        let mut numbers = MapVec::new();
        for number in 0..100_000u64 {
            numbers.push(number).unwrap();
        }
        assert!(numbers.iter().copied().eq(0..100_000));
        assert_eq!(numbers.span().len() % PAGE, 0);
    }

    #[test]
    fn room_that_was_made_is_used_without_moving() {
        let mut numbers = MapVec::with_capacity(1000).unwrap();
        let before = numbers.span();
        for number in 0..1000u64 {
            numbers.push_into_room(number);
        }
        assert!(numbers.iter().copied().eq(0..1000));
        assert_eq!(numbers.span(), before);
    }

    #[test]
    fn too_much_is_an_error() {
        assert_eq!(
            MapVec::<u64>::with_capacity(usize::MAX / 2).err(),
            Some(Errno::ENOMEM)
        );
    }
}
