//! The notes about objects that have a state of their own.

use ckpt_image::descriptors::Kind;
use ckpt_image::note;
use ckpt_image::objects::Object;
use ckpt_image::wire::Encoder;
use ckpt_sys::MapVec;

use super::sockets::Sockets;
use super::{
    Descriptors, epoll, event_counters, ipc, message_queues, pipes, pseudo_terminals,
    signal_owners, signals, terminal, timers, watchers,
};
use crate::failure::{Doing, Failure};

/// Bytes that an object has room for at first.
const ROOM: usize = 256;

/// Objects as they will stand in the image, by note.
#[derive(Debug)]
pub struct Objects {
    notes: [MapVec<u8>; note::Kind::ALL.len()],
}

impl Default for Objects {
    fn default() -> Self {
        Self {
            notes: [const { MapVec::new() }; note::Kind::ALL.len()],
        }
    }
}

impl Objects {
    /// Adds one.
    ///
    /// # Errors
    /// [`Failure`] if there is no memory for it.
    pub fn add<'o, T: Object<'o>>(&mut self, object: &T) -> Result<(), Failure> {
        self.add_large(object, 0)
    }

    /// Adds one that has about `size` bytes.
    ///
    /// # Errors
    /// As for [`Self::add`].
    pub fn add_large<'o, T: Object<'o>>(&mut self, object: &T, size: usize) -> Result<(), Failure> {
        let note = &mut self.notes[T::NOTE.index()];
        let start = note.len();
        let mut room = size + ROOM;
        loop {
            note.extend_zeroed(room)
                .doing(format_args!("memory for the list of descriptors"))?;
            let mut to = Encoder::new(&mut note[start..]);
            if to.put(object).is_ok() {
                let end = start + to.len();
                note.truncate(end);
                return Ok(());
            }
            note.truncate(start);
            room *= 4;
        }
    }

    /// The content of a note; empty if it is not needed.
    pub fn note(&self, kind: note::Kind) -> &[u8] {
        &self.notes[kind.index()]
    }

    /// An upper bound of the bytes that they take up in the image.
    pub fn encoded_bound(&self) -> usize {
        let notes = self.notes.iter().filter(|note| !note.is_empty());
        notes.map(|note| note.len() + 64).sum()
    }
}

/// Reads the state of everything that `descriptors` refer to, and of what the program knows by an id.
///
/// # Errors
/// [`Failure`] names the first object that cannot be saved.
pub fn collect(descriptors: &Descriptors, sockets: &Sockets) -> Result<Objects, Failure> {
    let mut objects = Objects::default();
    pipes::collect(descriptors, &mut objects)?;
    epoll::collect(descriptors, sockets, &mut objects)?;
    message_queues::collect(descriptors, &mut objects)?;
    ipc::collect(&mut objects)?;
    signal_owners::collect(descriptors, &mut objects)?;
    terminal::collect(descriptors, &mut objects)?;
    pseudo_terminals::collect(descriptors, &mut objects)?;
    for descriptor in descriptors.iter().filter(|one| !one.is_duplicate()) {
        let number = descriptor.number;
        match descriptor.kind() {
            Kind::EventCounter => objects.add(&event_counters::read(number)?)?,
            Kind::Timer => objects.add(&timers::read(number)?)?,
            Kind::Watcher => watchers::collect(number, &mut objects)?,
            Kind::Signals => objects.add(&signals::read(number)?)?,
            _ => {}
        }
    }
    sockets.write(descriptors, &mut objects)?;
    Ok(objects)
}
