//! How this process gets memory from the kernel.
//!
//! The allocator asks for pages of 2 MiB, and the kernel clears each when it is touched first.
//! That pays for indexes which are filled and searched at random. It does not for a short
//! command, of whose start it was half, nor for thousands of connections, each with a little:
//! on a machine with two cores it took a fifth of the time in which `kilat check` opens 9,000
//! of them, more than half of that of `kilat lookup`, and half as much memory again.

use rustix::thread::disable_transparent_huge_pages;

/// From here on in pages of 4 KiB.
pub(crate) fn in_small_pages() {
    // A kernel that does not know this has no large ones.
    let _ = disable_transparent_huge_pages(true);
}

/// From here on in large pages, where the system has them: for whoever keeps a large index.
pub(crate) fn in_large_pages() {
    let _ = disable_transparent_huge_pages(false);
}
