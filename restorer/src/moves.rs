//! Files and directories of the program that are somewhere else now (`--file OLD=NEW`).

use ckpt_sys::Errno;
use ckpt_sys::line::Path;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move<'a> {
    /// The path that it had, without a slash at its end.
    old: &'a [u8],
    /// The path that it has.
    new: &'a [u8],
}

impl<'a> Move<'a> {
    /// Reads `OLD=NEW`: absolute paths, the first of which has no `=`.
    #[must_use]
    pub fn parse(argument: &'a [u8]) -> Option<Self> {
        let at = argument.iter().position(|&byte| byte == b'=')?;
        let (old, new) = (&argument[..at], &argument[at + 1..]);
        let absolute = old.starts_with(b"/") && new.starts_with(b"/");
        absolute.then(|| Self {
            old: old.strip_suffix(b"/").unwrap_or(old),
            new: new.strip_suffix(b"/").unwrap_or(new),
        })
    }

    /// Whether `path` is the old path or leads through it.
    #[must_use]
    pub fn is_of(&self, path: &[u8]) -> bool {
        self.rest(path).is_some()
    }

    /// What stands behind the old path in `path`, which is that or leads through it.
    fn rest<'p>(&self, path: &'p [u8]) -> Option<&'p [u8]> {
        path.strip_prefix(self.old)
            .filter(|rest| rest.is_empty() || rest.starts_with(b"/"))
    }
}

/// All of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moves<'a>(&'a [Move<'a>]);

impl<'a> Moves<'a> {
    /// Those of `list`.
    #[must_use]
    pub fn new(list: &'a [Move<'a>]) -> Self {
        Self(list)
    }

    /// The path at which is now what was at `path`; `None` if it did not move. The longest of the old paths counts.
    ///
    /// # Errors
    /// If the new path is longer than the kernel takes.
    pub fn of(&self, path: &[u8]) -> Option<Result<Path, Errno>> {
        let fitting = self
            .0
            .iter()
            .filter_map(|moved| Some((moved, moved.rest(path)?)));
        let (moved, rest) = fitting.max_by_key(|(moved, _)| moved.old.len())?;
        let mut now = Path::new();
        now.push(moved.new);
        now.push(rest);
        if now.as_bytes().is_empty() {
            now.push(b"/");
        }
        Some(if now.is_cut() {
            Err(Errno::ENAMETOOLONG)
        } else {
            Ok(now)
        })
    }

    /// The old path of one that is not used: a mistake, most likely.
    pub fn unused(&self, is_used: impl Fn(&Move<'_>) -> bool) -> Option<&'a [u8]> {
        let mut all = self.0.iter();
        all.find(|moved| !is_used(moved)).map(|moved| moved.old)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list<const N: usize>(arguments: [&'static str; N]) -> [Move<'static>; N] {
        arguments.map(|argument| Move::parse(argument.as_bytes()).unwrap())
    }

    fn now(list: &[Move<'_>], path: &str) -> Option<String> {
        let now = Moves::new(list).of(path.as_bytes())?.unwrap();
        Some(String::from_utf8(now.as_bytes().to_vec()).unwrap())
    }

    #[test]
    fn files_and_what_is_below_directories() {
        let list = list(["/old/file=/new=name", "/a/=/b/", "/a/deep=/c", "/x=/"]);
        assert_eq!(now(&list, "/old/file").as_deref(), Some("/new=name"));
        assert_eq!(now(&list, "/old/files"), None);
        assert_eq!(now(&list, "/a").as_deref(), Some("/b"));
        assert_eq!(now(&list, "/a/file").as_deref(), Some("/b/file"));
        assert_eq!(now(&list, "/a/deep/file").as_deref(), Some("/c/file"));
        assert_eq!(now(&list, "/a/deeper").as_deref(), Some("/b/deeper"));
        assert_eq!(now(&list, "/x").as_deref(), Some("/"));
        assert_eq!(now(&list, "/x/y").as_deref(), Some("/y"));
        let everything = [Move::parse(b"/=/root").unwrap()];
        assert_eq!(now(&everything, "/a/b").as_deref(), Some("/root/a/b"));
    }

    #[test]
    fn only_absolute_paths() {
        for wrong in ["", "/a", "/a=", "/a=b", "a=/b", "=/b"] {
            assert_eq!(Move::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn paths_that_nothing_has_are_found() {
        let list = list(["/a=/b", "/c=/d"]);
        let moves = Moves::new(&list);
        let unused = |paths: [&str; 2]| {
            moves.unused(|moved| paths.iter().any(|path| moved.is_of(path.as_bytes())))
        };
        assert_eq!(unused(["/a/file", "/cc"]), Some(&b"/c"[..]));
        assert_eq!(unused(["/a/file", "/c"]), None);
    }
}
