//! Memory policies of regions (mbind(2)).

use ckpt_image::memory_settings::{MemoryPolicy, NODE_WORDS};
use ckpt_image::regions::{Backing, Region};
use ckpt_sys::{MapVec, calls};
use linux_raw_sys::mempolicy as m;

use super::Mapped;
use crate::failure::{Doing, Failure};

/// A policy that some regions have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    mode: u32,
    nodes: [u64; NODE_WORDS],
}

impl Policy {
    /// What the image says of `region`, which has it.
    pub fn of(&self, region: &Region<'_>) -> MemoryPolicy {
        MemoryPolicy {
            start: region.start,
            end: region.end,
            mode: self.mode,
            nodes: self.nodes,
        }
    }
}

/// Finds the policies of all regions, and says which one each has.
///
/// # Errors
/// [`Failure`] if there is no memory for them.
pub fn find(list: &mut [Mapped<'_>]) -> Result<MapVec<Policy>, Failure> {
    let mut policies: MapVec<Policy> = MapVec::new();
    for mapped in list {
        if mapped.region.backing() == Backing::Vdso {
            continue;
        }
        // A kernel without NUMA has none, and a sandbox may forbid to ask.
        let Ok((mode, nodes)) = calls::memory_policy_at(mapped.region.start) else {
            break;
        };
        if mode == m::MPOL_DEFAULT as u32 {
            continue;
        }
        let policy = Policy { mode, nodes };
        let known = policies.iter().position(|known| *known == policy);
        mapped.policy = 1 + match known {
            Some(index) => index,
            None => {
                policies
                    .push(policy)
                    .doing(format_args!("memory for the list of regions"))?;
                policies.len() - 1
            }
        };
    }
    Ok(policies)
}
