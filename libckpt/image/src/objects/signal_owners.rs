//! Who gets which signal when something can be done with a descriptor (`F_SETOWN_EX` and `F_SETSIG` in fcntl(2)).

use super::Object;
use crate::note::Kind;
use crate::record;
use crate::wire::Malformed;

/// Who gets the signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Whom {
    /// Nobody, or a process that is not in the image.
    Nobody = 0,
    /// The process.
    Process = 1,
    /// One of its threads.
    Thread = 2,
    /// Its process group.
    Group = 3,
}

record! {
    /// One open file description for which that was set.
    pub struct SignalOwner {
        /// The lowest descriptor that refers to it.
        pub description: u32,
        /// [`Whom`] as a number.
        pub whom_number: u32,
        /// Id of the thread, 0 if it is none.
        pub thread: u32,
        /// The signal, 0 for SIGIO without further data.
        pub signal: u32,
    }
}

impl SignalOwner {
    /// Who gets the signal; [`Object::check`] has refused unknown numbers.
    #[must_use]
    pub fn whom(&self) -> Whom {
        self.known_whom().unwrap_or(Whom::Nobody)
    }

    fn known_whom(&self) -> Option<Whom> {
        [Whom::Nobody, Whom::Process, Whom::Thread, Whom::Group]
            .into_iter()
            .find(|&known| known as u32 == self.whom_number)
    }
}

/// Largest number of a signal.
const LAST_SIGNAL: u32 = 64;

impl Object<'_> for SignalOwner {
    const NOTE: Kind = Kind::SignalOwners;

    fn check(&self) -> Result<(), Malformed> {
        if self.known_whom().is_some() && self.signal <= LAST_SIGNAL {
            Ok(())
        } else {
            Err(Malformed::Field("the owner of a descriptor"))
        }
    }
}
