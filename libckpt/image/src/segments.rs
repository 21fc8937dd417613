//! How the address space is cut into `PT_LOAD` segments.
//!
//! gdb's time and memory grow faster than linearly in the number of segments, so there is one per region; only a large
//! empty stretch becomes a segment of its own, without bytes in the file, so that the file never gets the size
//! of a reservation. Smaller empty stretches are holes in the file.

/// An empty stretch of this many bytes is worth a segment of its own, unless there are too many of them.
const SMALLEST_GAP: u64 = 1 << 20;

/// About how many segments beyond one per region the empty stretches may make.
const MOST_SPLITS: usize = 1000;

/// A stretch of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First address.
    pub start: u64,
    /// One past the last address.
    pub end: u64,
}

impl Span {
    /// The stretch from `start` up to, not including, `end`.
    #[must_use]
    pub const fn new(start: u64, end: u64) -> Self {
        Self { start, end }
    }

    /// Length in bytes.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Whether it holds no address.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.end <= self.start
    }

    /// What both have in common, if anything.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        let common = Self::new(self.start.max(other.start), self.end.min(other.end));
        (!common.is_empty()).then_some(common)
    }
}

/// One segment of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its addresses.
    pub span: Span,
    /// Whether it has bytes in the file.
    pub stored: bool,
}

/// Cuts `region` at the empty stretches of at least `gap` bytes between its `runs` of content (ascending), and hands
/// each piece to `emit`, in ascending order.
pub fn cut(region: Span, runs: impl Iterator<Item = Span>, gap: u64, mut emit: impl FnMut(Piece)) {
    // Everything before `done` was emitted; from there to `filled` goes the stored piece that is growing.
    let (mut done, mut filled) = (region.start, region.start);
    let close = |done: &mut u64, filled: u64, next: u64, emit: &mut dyn FnMut(Piece)| {
        if *done < filled {
            emit(Piece {
                span: Span::new(*done, filled),
                stored: true,
            });
        }
        emit(Piece {
            span: Span::new(filled, next),
            stored: false,
        });
        *done = next;
    };
    for run in runs {
        if run.start - filled >= gap {
            close(&mut done, filled, run.start, &mut emit);
        }
        filled = run.end;
    }
    if region.end - filled >= gap || filled == region.start {
        close(&mut done, filled, region.end, &mut emit);
    } else {
        emit(Piece {
            span: Span::new(done, region.end),
            stored: true,
        });
    }
}

/// The smallest gap, in bytes, with which the empty stretches make no more than about a thousand segments.
/// `count` says how many pieces all regions together have with a given gap.
pub fn choose_gap(regions: usize, count: impl Fn(u64) -> usize) -> u64 {
    let mut gap = SMALLEST_GAP;
    while gap < 1 << 46 && count(gap) > regions + MOST_SPLITS {
        gap *= 2;
    }
    gap
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    fn pieces(region: (u64, u64), runs: &[(u64, u64)]) -> Vec<(u64, u64, bool)> {
        let mut all = Vec::new();
        let spans = runs.iter().map(|&(start, end)| Span::new(start, end));
        cut(Span::new(region.0, region.1), spans, 10, |piece| {
            all.push((piece.span.start, piece.span.end, piece.stored));
        });
        all
    }

    #[test]
    fn without_content_nothing_is_stored() {
        assert_eq!(pieces((100, 105), &[]), vec![(100, 105, false)]);
        assert_eq!(pieces((100, 200), &[]), vec![(100, 200, false)]);
    }

    #[test]
    fn small_gaps_are_holes() {
        assert_eq!(
            pieces((100, 140), &[(105, 110), (115, 133)]),
            vec![(100, 140, true)]
        );
    }

    #[test]
    fn large_gaps_are_segments() {
        assert_eq!(
            pieces((100, 300), &[(120, 130), (135, 140), (200, 210)]),
            vec![
                (100, 120, false),
                (120, 140, true),
                (140, 200, false),
                (200, 210, true),
                (210, 300, false)
            ]
        );
    }

    #[test]
    fn a_full_region_is_one_segment() {
        assert_eq!(pieces((100, 300), &[(100, 300)]), vec![(100, 300, true)]);
    }

    #[test]
    fn the_gap_grows_with_the_number_of_splits() {
        assert_eq!(choose_gap(10, |_| 500), SMALLEST_GAP);
        assert_eq!(
            choose_gap(10, |gap| if gap < SMALLEST_GAP * 4 { 5000 } else { 900 }),
            SMALLEST_GAP * 4
        );
    }
}
