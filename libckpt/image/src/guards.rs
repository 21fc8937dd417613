//! Guard pages (`MADV_GUARD_INSTALL`): touching one is a fault, whatever the protection of its region is.

use crate::note::Kind;
use crate::objects::Object;
use crate::record;
use crate::segments::Span;
use crate::wire::Malformed;

record! {
    /// A stretch of guard pages within one region.
    pub struct Guard {
        /// First address.
        pub start: u64,
        /// One past the last address.
        pub end: u64,
    }
}

impl Guard {
    /// Its addresses.
    #[must_use]
    pub fn span(&self) -> Span {
        Span::new(self.start, self.end)
    }
}

impl Object<'_> for Guard {
    const NOTE: Kind = Kind::Guards;

    /// What can be wrong with it depends on the regions.
    fn check(&self) -> Result<(), Malformed> {
        Ok(())
    }
}
