//! A file descriptor that closes itself.

use crate::calls;

/// An open file descriptor of ours.
#[derive(Debug)]
pub struct Fd(i32);

impl Fd {
    /// Takes charge of `number`, which is open and nobody else's.
    #[must_use]
    pub const fn owning(number: i32) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn number(&self) -> i32 {
        self.0
    }

    /// Gives up charge of the descriptor, which stays open.
    #[must_use]
    pub fn into_number(self) -> i32 {
        let number = self.0;
        core::mem::forget(self);
        number
    }
}

impl Drop for Fd {
    fn drop(&mut self) {
        // Nothing can be done about an error, and the number is free in any case (close(2)).
        let _ = calls::close(self.0);
    }
}
