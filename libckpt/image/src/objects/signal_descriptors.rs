//! Descriptors through which signals are read (signalfd(2)). What is pending belongs to the process and its threads.

use super::Object;
use crate::note::Kind;
use crate::record;
use crate::wire::Malformed;

record! {
    /// One such descriptor.
    pub struct SignalDescriptor {
        /// The lowest descriptor that refers to it.
        pub description: u32,
        /// The signals that it reads; bit 0 is signal 1.
        pub mask: u64,
    }
}

impl Object<'_> for SignalDescriptor {
    const NOTE: Kind = Kind::SignalDescriptors;

    fn check(&self) -> Result<(), Malformed> {
        Ok(())
    }
}
