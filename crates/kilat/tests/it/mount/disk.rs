//! An ext4 file system of its own on a loop device, which can lose its power.

use crate::program::{tell, try_to_tell};
use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// `EXT4_IOC_SHUTDOWN` of the kernel's `fs/ext4/ext4.h`, with `EXT4_GOING_FLAGS_NOLOGFLUSH` (2):
/// what is not on the device now never gets there. Perl, because it is on every Debian.
const CUT: &str = r#"open(my $f, "<", $ARGV[0]) or die $!; my $flag = pack("L", 2);
    defined(ioctl($f, 0x8004587d, $flag)) or die $!"#;

/// Whether this process may mount. If not it says so, and the test is not run.
pub(crate) fn may_mount() -> bool {
    let root = std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    if !root {
        println!("not run: only root may mount file systems");
    }
    root
}

/// What a device takes at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sectors {
    /// 512 bytes: the journal writes to the device itself.
    Small,
    /// 4,096 bytes: the journal's writes go through the page cache.
    Large,
}

pub(crate) struct Disk {
    device: String,
    mounted: bool,
    folder: TempDir,
}

impl Disk {
    /// Makes a file system of `megabytes` and mounts it.
    pub(crate) fn new(megabytes: u64, sectors: Sectors) -> Disk {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("image");
        File::create(&image).unwrap().set_len(megabytes << 20).unwrap();
        std::fs::create_dir(folder.path().join("mount")).unwrap();
        let size = match sectors {
            Sectors::Small => "--sector-size=512",
            Sectors::Large => "--sector-size=4096",
        };
        let image = image.to_str().unwrap();
        let device = tell("losetup", &["--find", "--show", size, image]);
        let mut disk = Disk { device, mounted: false, folder };
        tell("mkfs.ext4", &["-q", "-F", "-m", "0", &disk.device]);
        disk.mount();
        disk
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("mount")
    }

    pub(crate) fn mount(&mut self) {
        let path = self.path();
        tell("mount", &[&self.device, path.to_str().unwrap()]);
        self.mounted = true;
    }

    /// What was not on the device is lost.
    pub(crate) fn cut_power(&self) {
        tell("perl", &["-e", CUT, self.path().to_str().unwrap()]);
    }

    pub(crate) fn unmount(&mut self) {
        tell("umount", &[self.path().to_str().unwrap()]);
        self.mounted = false;
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // After a failure a server may still be on it: it goes when that does.
        if self.mounted {
            try_to_tell("umount", &["--lazy", self.path().to_str().unwrap()]);
        }
        try_to_tell("losetup", &["--detach", &self.device]);
    }
}

/// A file that takes all but `left` bytes of what is free.
pub(crate) fn fill(directory: &Path, left: u64) -> PathBuf {
    let filler = directory.join("filler");
    let free = rustix::fs::statvfs(directory).unwrap();
    let bytes = (free.f_bavail * free.f_frsize).saturating_sub(left);
    let file = File::create(&filler).unwrap();
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes).unwrap();
    filler
}
