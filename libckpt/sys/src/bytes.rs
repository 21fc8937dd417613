//! Text as the kernel writes it under `/proc`: lines, fields, numbers.

/// Splits off the first line of `text`, without its newline. Text without one is a line, too.
#[must_use]
pub fn first_line(text: &[u8]) -> (&[u8], &[u8]) {
    match text.iter().position(|&byte| byte == b'\n') {
        Some(end) => (&text[..end], &text[end + 1..]),
        None => (text, &[]),
    }
}

/// The lines of `text`.
pub fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    let mut rest = text;
    core::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (line, behind) = first_line(rest);
        rest = behind;
        Some(line)
    })
}

/// The fields of `line`, which blanks and tabs divide.
pub fn fields(line: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    line.split(|byte| byte.is_ascii_whitespace())
        .filter(|field| !field.is_empty())
}

/// The value behind `key` and a colon at the beginning of a line of `text`, as in `/proc/PID/status`.
#[must_use]
pub fn value_of<'t>(text: &'t [u8], key: &str) -> Option<&'t [u8]> {
    lines(text).find_map(|line| {
        Some(
            line.strip_prefix(key.as_bytes())?
                .strip_prefix(b":")?
                .trim_ascii(),
        )
    })
}

/// A number of the given base (8, 10 or 16) without sign or prefix, which is all of `text`.
#[must_use]
pub fn number(text: &[u8], base: u64) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |value, &byte| {
        let digit = u64::from((byte as char).to_digit(base as u32)?);
        value.checked_mul(base)?.checked_add(digit)
    })
}

/// A decimal number.
#[must_use]
pub fn decimal(text: &[u8]) -> Option<u64> {
    number(text, 10)
}

/// A hexadecimal number without prefix.
#[must_use]
pub fn hex(text: &[u8]) -> Option<u64> {
    number(text, 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_their_whole_key() {
        let status = b"Uid:\t1\t2\t3\t4\nUmask:\t0022\nSeccomp:\t0\nSeccomp_filters:\t5\n";
        assert_eq!(
            value_of(status, "Umask").and_then(|text| number(text, 8)),
            Some(0o22)
        );
        assert_eq!(value_of(status, "Seccomp").and_then(decimal), Some(0));
        assert_eq!(
            value_of(status, "Seccomp_filters").and_then(decimal),
            Some(5)
        );
        assert_eq!(value_of(status, "Gid"), None);
        assert!(
            fields(value_of(status, "Uid").unwrap())
                .map(decimal)
                .eq([1, 2, 3, 4].map(Some))
        );
    }

    #[test]
    fn numbers_that_are_none_are_refused() {
        assert_eq!(decimal(b""), None);
        assert_eq!(decimal(b"12x"), None);
        assert_eq!(decimal(b"-1"), None);
        assert_eq!(decimal(b"18446744073709551616"), None);
        assert_eq!(hex(b"ffffffffffffffff"), Some(u64::MAX));
    }
}
