//! Text in a buffer of fixed size, for messages and paths.

use core::ffi::CStr;
use core::fmt;

/// Text of at most `N - 1` bytes. What does not fit is cut off, and [`Line::is_cut`] says so.
#[derive(Clone, Copy)]
pub struct Line<const N: usize> {
    // Always followed by at least one zero byte.
    bytes: [u8; N],
    length: usize,
    cut: bool,
}

/// A path as the kernel knows it (`PATH_MAX`, including the closing NUL).
pub type Path = Line<4096>;

impl<const N: usize> Line<N> {
    /// No text.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            bytes: [0; N],
            length: 0,
            cut: false,
        }
    }

    /// The text that `arguments` describe.
    #[must_use]
    pub fn format(arguments: fmt::Arguments<'_>) -> Self {
        let mut line = Self::new();
        // Writing to a line never fails: what does not fit is cut off.
        let _ = fmt::write(&mut line, arguments);
        line
    }

    /// Appends bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        let room = N - 1 - self.length;
        let taken = bytes.len().min(room);
        self.bytes[self.length..self.length + taken].copy_from_slice(&bytes[..taken]);
        self.length += taken;
        self.cut |= taken < bytes.len();
    }

    /// The text.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// The text with a NUL behind it, for the kernel. It ends at the first NUL inside the text, if there is one.
    #[must_use]
    pub fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or_default()
    }

    /// Whether something did not fit.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// Removes everything behind the first `length` bytes.
    pub fn truncate(&mut self, length: usize) {
        if length < self.length {
            self.bytes[length..self.length].fill(0);
            self.length = length;
        }
    }

    /// Takes over text that `fill` writes into the buffer it is handed; it returns the number of bytes.
    ///
    /// # Errors
    /// What `fill` returns.
    pub fn fill<E>(fill: impl FnOnce(&mut [u8]) -> Result<usize, E>) -> Result<Self, E> {
        let mut line = Self::new();
        let length = fill(&mut line.bytes[..N - 1])?.min(N - 1);
        line.bytes[length..].fill(0);
        line.length = length;
        line.cut = length == N - 1;
        Ok(line)
    }
}

impl<const N: usize> Default for Line<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> fmt::Write for Line<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
}

impl<const N: usize> fmt::Debug for Line<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Text(self.as_bytes()).fmt(f)
    }
}

impl<const N: usize> fmt::Display for Line<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Text(self.as_bytes()).fmt(f)
    }
}

/// Bytes, shown as text on one line: whatever is not printable ASCII or part of valid UTF-8 is escaped.
#[derive(Clone, Copy)]
pub struct Text<'a>(pub &'a [u8]);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for character in chunk.valid().chars() {
                if character.is_control() {
                    write!(f, "{}", character.escape_default())
                } else {
                    write!(f, "{character}")
                }?;
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_cut() {
        let line = Line::<6>::format(format_args!("{}", 123_456_789));
        assert_eq!(line.as_bytes(), b"12345");
        assert!(line.is_cut());
        assert_eq!(line.as_c_str(), c"12345");
    }

    #[test]
    fn a_line_stays_one_line() {
        assert_eq!(
            std::format!("{}", Text(b"a\nb\x1b[1m\xff\xc3\xa9")),
            "a\\nb\\u{1b}[1m\\xff\u{e9}"
        );
    }
}
