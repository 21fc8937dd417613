//! How values lie in a note: little-endian, packed, in the order of the fields; strings with a 32-bit length before them.

use core::fmt;

/// A buffer was too small for what was to be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSpace;

/// What is wrong with the bytes of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// A value begins before the end of its note and ends behind it.
    Truncated,
    /// A field has a value that the format does not allow; the text names the field.
    Field(&'static str),
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("a record ends early"),
            Self::Field(what) => write!(f, "{what} is not valid"),
        }
    }
}

/// Appends values to a buffer that the caller provides.
#[derive(Debug)]
pub struct Encoder<'b> {
    buffer: &'b mut [u8],
    used: usize,
}

impl<'b> Encoder<'b> {
    /// An encoder that fills `buffer` from its beginning.
    pub fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, used: 0 }
    }

    /// The number of bytes written so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.used
    }

    /// Whether nothing was written yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// The bytes written so far.
    #[must_use]
    pub fn written(&self) -> &[u8] {
        &self.buffer[..self.used]
    }

    /// Appends `bytes` as they are.
    ///
    /// # Errors
    /// [`NoSpace`] if the buffer has no room for them.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), NoSpace> {
        let end = self.used.checked_add(bytes.len()).ok_or(NoSpace)?;
        self.buffer
            .get_mut(self.used..end)
            .ok_or(NoSpace)?
            .copy_from_slice(bytes);
        self.used = end;
        Ok(())
    }

    /// Appends a value.
    ///
    /// # Errors
    /// [`NoSpace`] if the buffer has no room for it.
    pub fn put<'v, T: Wire<'v>>(&mut self, value: &T) -> Result<(), NoSpace> {
        value.encode(self)
    }

    /// Appends zero bytes up to the next multiple of `alignment` (a power of two).
    ///
    /// # Errors
    /// [`NoSpace`] if the buffer has no room for them.
    pub fn align(&mut self, alignment: usize) -> Result<(), NoSpace> {
        while !self.used.is_multiple_of(alignment) {
            self.bytes(&[0])?;
        }
        Ok(())
    }

    /// Overwrites four bytes that were written before, at `at`.
    ///
    /// # Errors
    /// [`NoSpace`] if they were not.
    pub fn patch_u32(&mut self, at: usize, value: u32) -> Result<(), NoSpace> {
        let end = at
            .checked_add(4)
            .filter(|&end| end <= self.used)
            .ok_or(NoSpace)?;
        self.buffer[at..end].copy_from_slice(&value.to_le_bytes());
        Ok(())
    }
}

/// Takes values from the front of a slice.
#[derive(Clone, Copy, Debug)]
pub struct Decoder<'a> {
    rest: &'a [u8],
}

impl<'a> Decoder<'a> {
    /// A decoder of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether everything was taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The number of bytes not yet taken.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Takes `count` bytes.
    ///
    /// # Errors
    /// [`Malformed::Truncated`] if there are fewer.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Takes a value.
    ///
    /// # Errors
    /// [`Malformed`] if the bytes do not hold one.
    pub fn get<T: Wire<'a>>(&mut self) -> Result<T, Malformed> {
        T::decode(self)
    }
}

/// A value with a fixed way to lie in a note. `'a` is the life of the bytes that a decoded value borrows from.
pub trait Wire<'a>: Sized {
    /// Appends the value.
    ///
    /// # Errors
    /// [`NoSpace`] if the buffer has no room for it.
    fn encode(&self, to: &mut Encoder<'_>) -> Result<(), NoSpace>;

    /// Takes a value.
    ///
    /// # Errors
    /// [`Malformed`] if the bytes do not hold one.
    fn decode(from: &mut Decoder<'a>) -> Result<Self, Malformed>;
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl Wire<'_> for $type {
            fn encode(&self, to: &mut Encoder<'_>) -> Result<(), NoSpace> {
                to.bytes(&self.to_le_bytes())
            }

            fn decode(from: &mut Decoder<'_>) -> Result<Self, Malformed> {
                let mut raw = [0; size_of::<$type>()];
                raw.copy_from_slice(from.bytes(size_of::<$type>())?);
                Ok(<$type>::from_le_bytes(raw))
            }
        }
    )*};
}

integers!(u8, u16, u32, u64, i16, i32, i64);

impl<'a, T: Wire<'a> + Copy + Default, const N: usize> Wire<'a> for [T; N] {
    fn encode(&self, to: &mut Encoder<'_>) -> Result<(), NoSpace> {
        self.iter().try_for_each(|item| item.encode(to))
    }

    fn decode(from: &mut Decoder<'a>) -> Result<Self, Malformed> {
        let mut items = [T::default(); N];
        for item in &mut items {
            *item = from.get()?;
        }
        Ok(items)
    }
}

impl<'a> Wire<'a> for &'a [u8] {
    fn encode(&self, to: &mut Encoder<'_>) -> Result<(), NoSpace> {
        to.put(&u32::try_from(self.len()).map_err(|_| NoSpace)?)?;
        to.bytes(self)
    }

    fn decode(from: &mut Decoder<'a>) -> Result<Self, Malformed> {
        let length: u32 = from.get()?;
        from.bytes(length as usize)
    }
}

/// Defines a struct whose fields lie in a note one after the other, in the order in which they are written here.
#[macro_export]
macro_rules! record {
    ($(#[$meta:meta])* $visibility:vis struct $name:ident $(<$life:lifetime>)? {
        $($(#[$field_meta:meta])* $field_visibility:vis $field:ident: $type:ty,)*
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $visibility struct $name $(<$life>)? {
            $($(#[$field_meta])* $field_visibility $field: $type,)*
        }

        $crate::record!(@wire $name [$($life)?] $($field: $type,)*);
    };
    (@wire $name:ident [] $($field:ident: $type:ty,)*) => {
        impl $crate::wire::Wire<'_> for $name {
            $crate::record!(@methods '_; $($field,)*);
        }
    };
    (@wire $name:ident [$life:lifetime] $($field:ident: $type:ty,)*) => {
        impl<$life> $crate::wire::Wire<$life> for $name<$life> {
            $crate::record!(@methods $life; $($field,)*);
        }
    };
    (@methods $life:lifetime; $($field:ident,)*) => {
        fn encode(&self, to: &mut $crate::wire::Encoder<'_>) -> Result<(), $crate::wire::NoSpace> {
            $(to.put(&self.$field)?;)*
            Ok(())
        }

        fn decode(from: &mut $crate::wire::Decoder<$life>) -> Result<Self, $crate::wire::Malformed> {
            Ok(Self { $($field: from.get()?,)* })
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    record! {
        /// A record with every kind of field.
        pub struct Sample<'a> {
            /// A number.
            pub number: u64,
            /// A string.
            pub text: &'a [u8],
            /// An array.
            pub array: [u16; 3],
        }
    }

    #[test]
    fn what_was_encoded_is_decoded() {
        let sample = Sample {
            number: 7,
            text: b"hello",
            array: [1, 2, 3],
        };
        let mut buffer = [0; 64];
        let mut to = Encoder::new(&mut buffer);
        to.put(&sample).unwrap();
        assert_eq!(to.len(), 8 + 4 + 5 + 6);
        let mut from = Decoder::new(to.written());
        assert_eq!(from.get::<Sample<'_>>(), Ok(sample));
        assert!(from.is_empty());
    }

    #[test]
    fn every_short_slice_is_truncated() {
        let mut buffer = [0; 64];
        let mut to = Encoder::new(&mut buffer);
        to.put(&Sample {
            number: 7,
            text: b"hello",
            array: [1, 2, 3],
        })
        .unwrap();
        for length in 0..to.len() {
            let mut from = Decoder::new(&to.written()[..length]);
            assert_eq!(from.get::<Sample<'_>>(), Err(Malformed::Truncated));
        }
    }

    #[test]
    fn a_full_buffer_is_an_error() {
        let mut buffer = [0; 7];
        assert_eq!(Encoder::new(&mut buffer).put(&1u64), Err(NoSpace));
    }
}
