//! Descriptors through which changes of files are read (inotify(7)).

use super::Object;
use crate::note::Kind;
use crate::record;
use crate::wire::{Decoder, Malformed};

/// A restart makes and removes one watch for each number that is not there any more, so numbers have a limit.
pub const MAX_WATCH: u32 = 1 << 22;

record! {
    /// One such descriptor.
    pub struct Watcher<'a> {
        /// The lowest descriptor that refers to it.
        pub description: u32,
        /// 1 if there were events that had not been read, otherwise 0.
        pub unread: u32,
        /// [`Watch`]es, in ascending order of their numbers.
        pub watches: &'a [u8],
    }
}

record! {
    /// What is watched.
    pub struct Watch<'a> {
        /// The number by which the program knows it.
        pub number: u32,
        /// `IN_*` flags.
        pub mask: u32,
        /// Path.
        pub path: &'a [u8],
    }
}

impl<'a> Watcher<'a> {
    /// The watches, as far as they decode.
    pub fn watches(&self) -> impl Iterator<Item = Watch<'a>> + Clone + use<'a> {
        let mut rest = Decoder::new(self.watches);
        core::iter::from_fn(move || rest.get().ok())
    }
}

impl<'a> Object<'a> for Watcher<'a> {
    const NOTE: Kind = Kind::Watchers;

    fn check(&self) -> Result<(), Malformed> {
        let mut rest = Decoder::new(self.watches);
        let mut last = 0;
        while !rest.is_empty() {
            let watch: Watch<'_> = rest.get()?;
            if watch.number <= last || watch.number > MAX_WATCH || watch.path.contains(&0) {
                return Err(Malformed::Field("a watch"));
            }
            last = watch.number;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Encoder;

    fn check(numbers: &[u32], cut: usize) -> Result<(), Malformed> {
        let mut buffer = [0; 256];
        let mut to = Encoder::new(&mut buffer);
        for &number in numbers {
            let watch = Watch {
                number,
                mask: 2,
                path: b"/some/where",
            };
            to.put(&watch).unwrap();
        }
        let watches = &to.written()[..to.len() - cut];
        let watcher = Watcher {
            description: 3,
            unread: 0,
            watches,
        };
        watcher.check()?;
        assert!(
            watcher
                .watches()
                .map(|watch| watch.number)
                .eq(numbers.iter().copied())
        );
        Ok(())
    }

    #[test]
    fn watches_ascend() {
        assert_eq!(check(&[], 0), Ok(()));
        assert_eq!(check(&[1, 2, 7], 0), Ok(()));
        assert!(check(&[0], 0).is_err());
        assert!(check(&[2, 2], 0).is_err());
        assert!(check(&[MAX_WATCH + 1], 0).is_err());
        assert_eq!(check(&[1, 2], 1), Err(Malformed::Truncated));
    }
}
