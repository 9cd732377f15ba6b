//! Which start of the operating system this is.

use std::fs;

/// Names one start of the operating system. Between two that are alike there was no power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BootId(pub(crate) [u8; 16]);

impl BootId {
    /// Returns the kernel's id of this start; zeros where the kernel has none.
    pub(crate) fn current() -> Self {
        let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Self(uuid::Uuid::parse_str(text.trim()).map_or([0; 16], uuid::Uuid::into_bytes))
    }

    /// Returns whether the kernel's memory was lost between `earlier` and this. Where the kernel has no ids it may have been.
    pub(super) fn is_restart_after(self, earlier: Self) -> bool {
        self != earlier || self.0 == [0; 16]
    }
}
