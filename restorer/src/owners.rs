//! The words in which the ids of threads are kept: each gets the new one.

use ckpt_image::reader::Image;
use ckpt_sys::MapVec;
use restart::report::{Cause, Error, Exit, Object};
use restart::threads::{Renamed, rename};

use crate::Result;

/// Words that hold a thread id, with what they held at first. All are read before any is written: two of them may be the
/// same memory, mapped twice, and a new id may be another thread's old one.
pub struct Owners {
    words: MapVec<(u64, u32)>,
}

impl Owners {
    /// Room for the words of the image.
    pub fn with_room_for(image: &Image<'static>) -> Result<Self> {
        let count = image.owners().count();
        let words = MapVec::with_capacity(count).map_err(|errno| {
            Error::new(
                Exit::Host,
                Object::Thing("the list of thread ids"),
                Cause::Failed("no memory for it", errno),
                "free memory or raise `ulimit -v`",
            )
        })?;
        Ok(Self { words })
    }

    /// Notes the word at `at`.
    ///
    /// # Safety
    /// The word is mapped there, readable, and filled.
    pub unsafe fn note(&mut self, at: u64) {
        // SAFETY: the caller answers for the word.
        let word = unsafe { (at as *const u32).read() };
        self.words.push_into_room((at, word));
    }

    /// Gives all words their new ids. `threads` ascend by their old ids.
    ///
    /// # Safety
    /// The words are still where they were noted, in memory that can be written and that nobody else uses.
    pub unsafe fn rename(&self, threads: &[Renamed]) {
        for &(at, word) in self.words.iter() {
            if let Some(renamed) = rename(word, threads) {
                // SAFETY: the caller answers for the word.
                unsafe { (at as *mut u32).write(renamed) };
            }
        }
    }
}
