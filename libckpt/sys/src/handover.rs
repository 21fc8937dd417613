//! What the restorer tells the restored process.

/// Lies in the pad; its address is in `rax` when the restored process begins, where `getcontext` had returned 0.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Handover {
    /// First address of the pad, which the restored process unmaps.
    pub pad: u64,
    /// Length of the pad in bytes.
    pub pad_length: u64,
}
