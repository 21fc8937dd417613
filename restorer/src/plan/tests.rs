use super::*;

const OWN: [Span; 1] = [Span::new(0x500_0000, 0x540_0000)];

fn region(start: u64, end: u64, backing: Backing, protection: u32) -> Region<'static> {
    Region {
        start,
        end,
        protection,
        backing_number: backing as u32,
        flags: 0,
        offset: 0,
        file: FileIdentity::default(),
        name: b"",
    }
}

fn extent(address: u64, pages: u16, flags: u16) -> Extent {
    Extent {
        address,
        pages,
        flags,
        checksum: 7,
    }
}

fn situation() -> Situation<'static> {
    Situation {
        own: &OWN,
        vdso: Span::new(0x7fff_0000_0000, 0x7fff_0000_8000),
        vdso_areas: 3,
        vdso_moves: true,
        vdso_is_same: true,
        brk: 0x700_0000,
        stack_limit: 8 << 20,
        siblings: 0,
        lock_words: 0,
        environment: 0,
        signals: 0,
    }
}

fn steps<'a>(
    regions: &[Region<'a>],
    extents: &[Extent],
    contents: &[Content],
    situation: &Situation<'_>,
) -> Vec<Step<'a>> {
    steps_with(regions, extents, contents, situation, &[], &[])
}

fn steps_with<'a>(
    regions: &[Region<'a>],
    extents: &[Extent],
    contents: &[Content],
    situation: &Situation<'_>,
    owners: &[u64],
    guards: &[Guard],
) -> Vec<Step<'a>> {
    let within = (owners, guards);
    all_steps(regions, extents, contents, situation, within, false)
}

fn all_steps<'a>(
    regions: &[Region<'a>],
    extents: &[Extent],
    contents: &[Content],
    situation: &Situation<'_>,
    (owners, guards): (&[u64], &[Guard]),
    lazy: bool,
) -> Vec<Step<'a>> {
    let mut layout = Layout::with_room_for(regions.iter().copied()).unwrap();
    layout.arrange(regions.iter().copied(), situation).unwrap();
    let plan = Plan {
        layout: &layout,
        situation,
        contents,
        redirections: &[Redirection {
            offset: 0x10,
            code: [0x90; CODE_SIZE],
        }],
        lazy,
    };
    let mut all = Vec::new();
    let placed = extents.iter().map(|&extent| (extent, extent.address * 2));
    let within = Within {
        extents: placed,
        owners: owners.iter().map(|&address| OwnerWord { address }),
        guards: guards.iter().copied(),
        policies: core::iter::empty(),
    };
    plan.steps(regions.iter().copied(), within, |step| {
        all.push(step);
        Ok::<(), ()>(())
    })
    .unwrap();
    check_phases(&all);
    all.retain(|step| *step != Step::Filled);
    all
}

/// Everything is mapped, then everything is filled, then everything is finished.
fn check_phases(steps: &[Step<'_>]) {
    let filled = steps.iter().position(|step| *step == Step::Filled).unwrap();
    let is_filling =
        |step: &Step<'_>| matches!(step, Step::Fresh(_) | Step::Enlarge(_) | Step::Fill { .. });
    let is_mapping = |step: &Step<'_>| {
        matches!(
            step,
            Step::Map { .. } | Step::MapImage { .. } | Step::Duplicate { .. }
        )
    };
    let (before, after) = steps.split_at(filled);
    assert!(
        before
            .iter()
            .skip_while(|step| !is_filling(step))
            .all(is_filling),
        "{steps:?}"
    );
    assert!(
        !after
            .iter()
            .any(|step| is_filling(step) || is_mapping(step)),
        "{steps:?}"
    );
}

#[test]
fn memory_without_content_is_mapped_with_its_own_protection() {
    let mut stack = region(0x10_0000, 0x10_2000, Backing::Anonymous, 0);
    stack.flags = vm_flags::GROWS_DOWN | vm_flags::NO_RESERVE;
    let all = steps(&[stack], &[], &[Content::Image], &situation());
    let flags = n::MAP_PRIVATE | n::MAP_ANONYMOUS | n::MAP_GROWSDOWN | n::MAP_NORESERVE;
    assert_eq!(
        all,
        [Step::Map {
            span: Span::new(0x10_0000, 0x10_2000),
            protection: 0,
            flags,
            file: None
        }]
    );
}

#[test]
fn words_with_a_thread_id_are_noted_where_memory_is_filled() {
    let memory = region(0x500_0000, 0x500_2000, Backing::Anonymous, 3);
    let extents = [extent(0x500_1000, 1, 0)];
    let all = steps_with(
        &[memory],
        &extents,
        &[Content::Image],
        &situation(),
        &[0x500_1008],
        &[],
    );
    let Step::Map { span, .. } = all[0] else {
        panic!("{all:?}");
    };
    assert_ne!(span.start, memory.start, "staged");
    let at = span.start + 0x1008;
    assert_eq!(all[2..], [Step::NoteOwner { at }]);
    let all = steps_with(
        &[memory],
        &[],
        &[Content::Image],
        &situation(),
        &[0x500_1008],
        &[],
    );
    assert_eq!(
        all.len(),
        1,
        "nothing was filled, so nothing may be written"
    );
}

#[test]
fn filled_memory_is_protected_afterwards() {
    let code = region(
        0x10_0000,
        0x10_2000,
        Backing::Anonymous,
        PROT_READ | PROT_EXEC,
    );
    let all = steps(
        &[code],
        &[extent(0x10_1000, 1, 0)],
        &[Content::Image],
        &situation(),
    );
    let span = Span::new(0x10_0000, 0x10_2000);
    assert!(matches!(all[0], Step::Map { protection: 3, .. }));
    assert_eq!(
        all[1..],
        [
            Step::Fill {
                to: Span::new(0x10_1000, 0x10_2000),
                offset: 0x20_2000,
                checksum: 7
            },
            Step::Protect {
                span,
                protection: PROT_READ | PROT_EXEC,
                key: 0,
            }
        ]
    );
}

#[test]
fn memory_gets_its_protection_key_when_it_is_filled() {
    let mut memory = region(0x10_0000, 0x10_2000, Backing::Anonymous, 3);
    memory.flags = 5 << vm_flags::KEY_SHIFT;
    let all = steps(
        &[memory],
        &[extent(0x10_1000, 1, 0)],
        &[Content::Image],
        &situation(),
    );
    assert_eq!(
        all.last(),
        Some(&Step::Protect {
            span: Span::new(0x10_0000, 0x10_2000),
            protection: 3,
            key: 5
        })
    );
}

#[test]
fn an_unchanged_file_is_mapped_and_only_what_differs_is_read() {
    let file = region(0x10_0000, 0x10_2000, Backing::PrivateFile, PROT_READ);
    let extents = [extent(0x10_0000, 1, 1), extent(0x10_1000, 1, 0)];
    let fills = |content| {
        steps(&[file], &extents, &[content], &situation())
            .iter()
            .filter(|step| matches!(step, Step::Fill { .. }))
            .count()
    };
    assert_eq!(fills(Content::File), 1);
    assert_eq!(fills(Content::Image), 2);
}

#[test]
fn extents_follow_a_staged_region() {
    let heap = region(0x500_0000, 0x510_0000, Backing::Anonymous, 3);
    let later = region(0x600_0000, 0x600_1000, Backing::Anonymous, 3);
    let extents = [extent(0x500_3000, 2, 0), extent(0x600_0000, 1, 0)];
    let all = steps(&[heap, later], &extents, &[Content::Image; 2], &situation());
    let Step::Map { span: staged, .. } = all[0] else {
        panic!("{all:?}");
    };
    assert_ne!(staged.start, heap.start);
    assert!(matches!(all[2], Step::Fill { to, .. } if to.start == staged.start + 0x3000));
    assert!(matches!(all[3], Step::Fill { to, .. } if to.start == later.start));
    assert_eq!(all.len(), 4);
}

#[test]
fn shared_memory_in_pieces_is_one_object() {
    let piece = |start, offset, protection| {
        let mut piece = region(start, start + 0x1000, Backing::SharedAnonymous, protection);
        (piece.file.inode, piece.offset) = (5, offset);
        piece
    };
    let pieces = [piece(0x10_0000, 0, 1), piece(0x20_0000, 0x1000, 3)];
    let all = steps(
        &pieces,
        &[extent(0x20_0000, 1, 0)],
        &[Content::Image; 2],
        &situation(),
    );
    let Step::Map { span: whole, .. } = all[0] else {
        panic!("{all:?}");
    };
    assert_eq!(whole.len(), 0x2000);
    let duplicates: Vec<_> = all
        .iter()
        .filter_map(|step| match step {
            Step::Duplicate { from, to } => Some((from.start - whole.start, *to)),
            _ => None,
        })
        .collect();
    assert_eq!(duplicates, [(0, 0x10_0000), (0x1000, 0x20_0000)]);
    assert_eq!(all.last(), Some(&Step::Unmap(whole)));
    assert!(all.contains(&Step::Protect {
        span: Span::new(0x10_0000, 0x10_1000),
        protection: 1,
        key: 0
    }));
}

#[test]
fn a_foreign_vdso_becomes_memory_with_redirections() {
    let mut vvar = region(0x10_0000, 0x10_1000, Backing::Vdso, PROT_READ);
    vvar.name = b"[vvar]";
    let mut vdso = region(0x10_1000, 0x10_2000, Backing::Vdso, PROT_READ | PROT_EXEC);
    vdso.name = b"[vdso]";
    let extents = [extent(0x10_1000, 1, 0)];
    let mut here = situation();
    assert!(steps(&[vvar, vdso], &extents, &[Content::Image; 2], &here).is_empty());
    here.vdso_is_same = false;
    let all = steps(&[vvar, vdso], &extents, &[Content::Image; 2], &here);
    assert!(matches!(
        all[0],
        Step::Map {
            protection: PROT_READ,
            ..
        }
    ));
    assert!(all.contains(&Step::Write {
        at: 0x10_1010,
        code: [0x90; CODE_SIZE]
    }));
    assert!(matches!(
        all.last(),
        Some(Step::Protect { protection: 5, .. })
    ));
}

/// As in an image that somebody has made who means harm.
#[test]
fn memory_that_is_only_called_vdso_is_left_alone() {
    let mut here = situation();
    here.vdso_is_same = false;
    let mut memory = region(0x10_0000, 0x10_1000, Backing::Anonymous, PROT_READ);
    memory.name = b"[vdso]";
    let extents = [extent(0x10_0000, 1, 0)];
    let all = steps(&[memory], &extents, &[Content::Image], &here);
    let overwrites = |step: &Step<'_>| matches!(step, Step::Write { .. });
    assert!(!all.iter().any(overwrites), "{all:?}");
}

#[test]
fn flags_and_names_come_back() {
    let mut named = region(0x10_0000, 0x10_1000, Backing::Anonymous, 3);
    named.name = b"[anon:pool]";
    named.flags = vm_flags::LOCKED | vm_flags::DONT_FORK | vm_flags::HUGE_PAGE;
    let all = steps(&[named], &[], &[Content::Image], &situation());
    let span = Span::new(0x10_0000, 0x10_1000);
    let advice = |advice, needed| Step::Advise {
        span,
        advice,
        needed,
    };
    assert_eq!(
        all[1..],
        [
            advice(n::MADV_HUGEPAGE, false),
            advice(n::MADV_DONTFORK, true),
            Step::Lock {
                span,
                on_fault: false
            },
            Step::Name(span, b"pool")
        ]
    );
}

#[test]
fn what_all_of_several_regions_had_is_advised_by_one_step() {
    let mut regions = [0x10_0000, 0x10_1000, 0x10_2000, 0x10_4000].map(|start| {
        let mut stack = region(start, start + 0x1000, Backing::Anonymous, 3);
        stack.flags = vm_flags::NO_HUGE_PAGE;
        stack
    });
    regions[2].flags = 0;
    let all = steps(&regions, &[], &[Content::Image; 4], &situation());
    let advised: Vec<_> = all
        .iter()
        .filter_map(|step| match step {
            Step::Advise { span, advice, .. } => Some((*span, *advice)),
            _ => None,
        })
        .collect();
    let expected = [(0x10_0000, 0x10_2000), (0x10_4000, 0x10_5000)]
        .map(|(start, end)| (Span::new(start, end), n::MADV_NOHUGEPAGE));
    assert_eq!(advised, expected);
}

#[test]
fn much_content_is_mapped_from_the_image_and_little_is_read() {
    let memory = region(
        0x10_0000,
        0x50_0000,
        Backing::Anonymous,
        PROT_READ | PROT_EXEC,
    );
    let extents = [extent(0x10_0000, 1, 0), extent(0x30_0000, 18, 0)];
    let owners = [0x30_0008];
    let contents = [Content::Image];
    let all = all_steps(
        &[memory],
        &extents,
        &contents,
        &situation(),
        (&owners, &[]),
        true,
    );
    let around = |start, end| Step::Map {
        span: Span::new(start, end),
        protection: PROT_READ | PROT_WRITE,
        flags: n::MAP_PRIVATE | n::MAP_ANONYMOUS,
        file: None,
    };
    let piece = Piece {
        span: Span::new(0x30_0000, 0x31_2000),
        offset: 0x60_0000,
    };
    let protection = PROT_READ | PROT_EXEC;
    let flags = n::MAP_PRIVATE;
    let Step::Fill { to, .. } = all[3] else {
        panic!("{all:?}");
    };
    assert_eq!(to.start, 0x10_0000);
    assert_eq!(
        [&all[..3], &all[4..]].concat(),
        [
            around(0x10_0000, 0x30_0000),
            Step::MapImage {
                piece,
                protection,
                flags
            },
            around(0x31_2000, 0x50_0000),
            Step::NoteOwner { at: 0x30_0008 },
            Step::Protect {
                span: Span::new(0x10_0000, 0x50_0000),
                protection,
                key: 0
            }
        ]
    );
}

#[test]
fn what_cannot_be_mapped_from_the_image_is_read() {
    let mut stack = region(0x10_0000, 0x50_0000, Backing::Anonymous, 3);
    stack.flags = vm_flags::GROWS_DOWN;
    let extents = [extent(0x30_0000, 16, 0)];
    let here = situation();
    let read = steps(&[stack], &extents, &[Content::Image], &here);
    let lazily = all_steps(
        &[stack],
        &extents,
        &[Content::Image],
        &here,
        (&[], &[]),
        true,
    );
    assert_eq!(lazily, read);
}

#[test]
fn anonymous_memory_in_which_much_is_filled_is_expected_to_be() {
    let memory = region(0x10_0000, 0x20_0000, Backing::Anonymous, 3);
    let expected = |region: Region<'static>, pages| {
        let extents = [extent(region.start + 0x1000, pages, 0)];
        let all = steps(&[region], &extents, &[Content::Image], &situation());
        let whole = Span::new(region.start, region.end);
        let fresh = all.iter().position(|step| *step == Step::Fresh(whole));
        let first = all
            .iter()
            .position(|step| matches!(step, Step::Fill { .. }));
        assert!(fresh.is_none() || fresh < first, "{all:?}");
        fresh.is_some()
    };
    assert!(expected(memory, 32));
    assert!(!expected(memory, 31));
    let file = region(0x10_0000, 0x20_0000, Backing::PrivateFile, 3);
    assert!(!expected(file, 32));
    let mut huge = memory;
    huge.flags = vm_flags::HUGETLB;
    assert!(!expected(huge, 32));
}

#[test]
fn only_what_is_filled_without_a_gap_is_enlarged() {
    let page_count = 256;
    let part = |start, index: u64| extent(start + index * (1 << 20), page_count, 0);
    // The fifth mebibyte is missing; the region begins in the middle of a huge page, and it is staged.
    let heap = region(0x4f0_0000, 0x5a0_0000, Backing::Anonymous, 3);
    let extents: Vec<_> = (0..8)
        .filter(|index| *index != 4)
        .map(|index| part(heap.start, index))
        .collect();
    let enlarged = |region: Region<'static>| -> Vec<Span> {
        let all = steps(&[region], &extents, &[Content::Image], &situation());
        let Step::Map { span, .. } = all[0] else {
            panic!("{all:?}");
        };
        all.iter()
            .filter_map(|step| match step {
                Step::Enlarge(part) => Some(Span::new(
                    part.start - span.start + region.start,
                    part.end - span.start + region.start,
                )),
                _ => None,
            })
            .collect()
    };
    assert_eq!(
        enlarged(heap),
        [
            Span::new(0x500_0000, 0x520_0000),
            Span::new(0x540_0000, 0x560_0000)
        ]
    );
    let mut without = heap;
    without.flags = vm_flags::NO_HUGE_PAGE;
    assert!(enlarged(without).is_empty());
}

#[test]
fn huge_pages_are_made_a_batch_at_a_time() {
    // One mebibyte above a huge page: each batch but the first one begins with one.
    let start = 0x7f00_0010_0000;
    let heap = region(start, start + (32 << 20), Backing::Anonymous, 3);
    let extents: Vec<_> = (0..21)
        .map(|index| extent(start + (index << 20), 256, 0))
        .collect();
    let all = steps(&[heap], &extents, &[Content::Image], &situation());
    let (mut enlarged, mut filled) = (Vec::new(), 0);
    for step in &all {
        match *step {
            Step::Enlarge(span) => {
                let mebibytes = |address: u64| (address - start) >> 20;
                enlarged.push((filled, mebibytes(span.start), mebibytes(span.end)));
            }
            Step::Fill { .. } => filled += 1,
            _ => {}
        }
    }
    assert_eq!(enlarged, [(0, 1, 9), (9, 9, 17), (17, 17, 21)]);
    assert_eq!(filled, 21);
}

#[test]
fn guards_come_when_nothing_is_written_any_more() {
    let mut memory = region(0x10_0000, 0x20_0000, Backing::Anonymous, 3);
    memory.flags = vm_flags::LOCKED;
    let staged = region(0x500_0000, 0x500_4000, Backing::Anonymous, 1);
    let guard = |start, end| Guard { start, end };
    let all = steps_with(
        &[memory, staged],
        &[extent(0x10_0000, 1, 0), extent(0x500_0000, 1, 0)],
        &[Content::Image; 2],
        &situation(),
        &[],
        &[guard(0x10_1000, 0x10_3000), guard(0x500_3000, 0x500_4000)],
    );
    let first = Span::new(0x10_1000, 0x10_3000);
    let whole = Span::new(0x10_0000, 0x20_0000);
    assert_eq!(
        all[4..6],
        [
            Step::Guard(first),
            Step::Lock {
                span: whole,
                on_fault: false
            }
        ]
    );
    let Step::Map { span, .. } = all[1] else {
        panic!("{all:?}");
    };
    assert_ne!(span.start, staged.start, "staged");
    let last = Span::new(span.start + 0x3000, span.end);
    assert_eq!(all.last(), Some(&Step::Guard(last)));
}
