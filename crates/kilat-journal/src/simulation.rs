//! Storage in memory that loses power, fails and fills up on demand, for tests.
//!
//! What was synced survives. Of what was not, each 512-byte sector is independently old or new,
//! and each change to the directory independently happened or did not: worse than any real file
//! system, except that a sector is never half written.

mod inode;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::format::SECTOR_BYTES;
use crate::storage::{Storage, StorageFile};

use inode::{Change, Inode};

/// A splitmix64 generator: the same seed gives the same numbers.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The numbers that follow from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.draw() % end
    }

    /// Heads or tails.
    pub fn coin(&mut self) -> bool {
        self.draw() >> 63 == 1
    }
}

/// How an operation that is told to fail does so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The operation does nothing and reports that the device is full. A write may have put some
    /// of its sectors down.
    NoSpace,
    /// The operation reports an I/O error. A sync that fails so has thrown away what was not
    /// durable: the cache goes on showing it, and later syncs succeed without it.
    Io,
    /// The power goes: this operation and all later ones fail, until [`CrashingStorage::crash`].
    PowerCut,
}

impl Fault {
    fn error(self) -> io::Error {
        match self {
            Self::NoSpace => io::Error::from_raw_os_error(28),
            Self::Io => io::Error::from_raw_os_error(5),
            Self::PowerCut => io::Error::other("the power is off"),
        }
    }
}

/// An operation on the storage, for telling where faults strike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// [`Storage::create`]
    Create,
    /// [`StorageFile::write_at`] within the file's length
    Write,
    /// [`StorageFile::write_at`] that makes the file longer
    Extend,
    /// [`StorageFile::sync_data`] and [`StorageFile::settle`]
    Sync,
    /// [`Storage::rename`]
    Rename,
    /// [`Storage::remove`]
    Remove,
    /// [`Storage::sync_directory`]
    SyncDirectory,
}

/// A directory in memory. Clones share it.
#[derive(Clone)]
pub struct CrashingStorage {
    disk: Arc<Mutex<Disk>>,
}

/// An open file of a [`CrashingStorage`].
pub struct CrashingFile {
    disk: Arc<Mutex<Disk>>,
    inode: usize,
}

struct Disk {
    inodes: Vec<Inode>,
    live: BTreeMap<String, usize>,
    durable: BTreeMap<String, usize>,
    pending: Vec<Change>,
    random: Random,
    /// Changing operations so far.
    operations: u64,
    fault: Option<(Strike, Fault)>,
    off: bool,
    /// What [`Storage::room`] says; nothing is taken from it.
    room: u64,
}

/// When a fault strikes.
enum Strike {
    At(u64),
    /// The n-th operation of a kind from now; 0 is the next.
    Nth(Operation, u64),
    /// Every extension, until lifted.
    WhileFull,
}

impl CrashingStorage {
    /// An empty directory. `seed` decides what crashes lose.
    pub fn new(seed: u64) -> Self {
        let disk = Disk {
            inodes: Vec::new(),
            live: BTreeMap::new(),
            durable: BTreeMap::new(),
            pending: Vec::new(),
            random: Random::new(seed),
            operations: 0,
            fault: None,
            off: false,
            room: u64::MAX,
        };
        Self { disk: Arc::new(Mutex::new(disk)) }
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changing operations so far: creations, writes, syncs, renames, removals.
    pub fn operations(&self) -> u64 {
        self.disk().operations
    }

    /// Makes the operation with this number (counted as [`CrashingStorage::operations`] does)
    /// fail, once.
    pub fn fail_at(&self, operation: u64, fault: Fault) {
        self.disk().fault = Some((Strike::At(operation), fault));
    }

    /// Makes the n-th operation of a kind from now on fail, once; 0 is the next.
    pub fn fail_nth(&self, operation: Operation, n: u64, fault: Fault) {
        self.disk().fault = Some((Strike::Nth(operation, n), fault));
    }

    /// Makes every write that needs more space fail, until [`CrashingStorage::heal`].
    pub fn fill_up(&self) {
        self.disk().fault = Some((Strike::WhileFull, Fault::NoSpace));
    }

    /// What is said from now on of the room that is left; that changes nothing else.
    pub fn say_room(&self, bytes: u64) {
        self.disk().room = bytes;
    }

    /// Nothing fails any more (a cut power stays cut).
    pub fn heal(&self) {
        self.disk().fault = None;
    }

    /// Whether a fault is still to strike.
    pub fn is_fault_pending(&self) -> bool {
        self.disk().fault.is_some()
    }

    /// The power goes and comes back: what was not durable is lost at random. Files opened
    /// before must not be used afterwards.
    pub fn crash(&self) {
        self.disk().crash();
    }

    /// The process dies and the machine lives: nothing is lost, all faults are lifted.
    pub fn kill(&self) {
        let mut disk = self.disk();
        disk.fault = None;
        disk.off = false;
    }

    /// The bytes of all files as they are seen now.
    pub fn image(&self) -> BTreeMap<String, Vec<u8>> {
        let disk = self.disk();
        disk.live
            .iter()
            .map(|(name, inode)| (name.clone(), disk.inodes[*inode].live.clone()))
            .collect()
    }

    /// Whether the files that are seen now are exactly `image`.
    pub fn is_image(&self, image: &BTreeMap<String, Vec<u8>>) -> bool {
        let disk = self.disk();
        let seen = disk.live.iter().map(|(name, inode)| (name, &disk.inodes[*inode].live));
        seen.eq(image.iter())
    }

    /// A storage that durably holds `image`.
    pub fn from_image(image: &BTreeMap<String, Vec<u8>>) -> Self {
        let storage = Self::new(0);
        for (name, bytes) in image {
            storage.replace(name, bytes);
        }
        storage
    }

    /// Durably replaces a file's bytes, or makes it.
    pub fn replace(&self, name: &str, bytes: &[u8]) {
        let mut disk = self.disk();
        let content = Inode { live: bytes.into(), durable: bytes.into(), ..Inode::default() };
        if let Some(inode) = disk.live.get(name).copied() {
            disk.inodes[inode] = content;
            return;
        }
        let inode = disk.inodes.len();
        disk.inodes.push(content);
        disk.live.insert(name.into(), inode);
        disk.durable.insert(name.into(), inode);
    }

    /// Durably removes a file.
    pub fn erase(&self, name: &str) {
        let mut disk = self.disk();
        disk.live.remove(name);
        disk.durable.remove(name);
    }

    /// Durably changes one byte of a file by exclusive or.
    pub fn damage(&self, name: &str, offset: usize, bits: u8) {
        let mut disk = self.disk();
        if let Some(inode) = disk.live.get(name).copied() {
            disk.inodes[inode].live[offset] ^= bits;
            disk.inodes[inode].durable[offset] ^= bits;
        }
    }

    /// Makes the cache show a sector of a file blank, though the device holds it.
    pub fn blank_in_cache(&self, name: &str, sector: usize) {
        let mut disk = self.disk();
        if let Some(inode) = disk.live.get(name).copied() {
            disk.inodes[inode].live[sector * SECTOR_BYTES..][..SECTOR_BYTES].fill(0);
            disk.inodes[inode].lost.insert(sector);
        }
    }
}

impl Disk {
    /// Counts an operation and says how it is to fail, if it is.
    fn strike(&mut self, operation: Operation) -> Result<(), Fault> {
        if self.off {
            return Err(Fault::PowerCut);
        }
        let number = self.operations;
        self.operations += 1;
        let Some((strike, fault)) = &mut self.fault else {
            return Ok(());
        };
        let fault = *fault;
        match strike {
            Strike::At(at) if *at == number => {}
            Strike::Nth(kind, 0) if *kind == operation => {}
            Strike::Nth(kind, left) if *kind == operation => {
                *left -= 1;
                return Ok(());
            }
            Strike::WhileFull if operation == Operation::Extend => return Err(fault),
            _ => return Ok(()),
        }
        self.fault = None;
        self.off = fault == Fault::PowerCut;
        Err(fault)
    }

    fn named(&self, name: &str) -> io::Result<usize> {
        self.live.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn crash(&mut self) {
        self.off = false;
        self.fault = None;
        for change in std::mem::take(&mut self.pending) {
            if self.random.coin() {
                change.apply(&mut self.durable);
            }
        }
        self.live = self.durable.clone();
        let used: BTreeSet<usize> = self.live.values().copied().collect();
        for (number, inode) in self.inodes.iter_mut().enumerate() {
            if used.contains(&number) {
                inode.crash(&mut self.random);
            } else {
                *inode = Inode::default();
            }
        }
    }
}

impl Storage for CrashingStorage {
    type File = CrashingFile;

    fn create(&self, name: &str) -> io::Result<CrashingFile> {
        let mut disk = self.disk();
        disk.strike(Operation::Create).map_err(Fault::error)?;
        let inode = disk.inodes.len();
        disk.inodes.push(Inode::default());
        disk.live.insert(name.into(), inode);
        disk.pending.push(Change::Bind { name: name.into(), inode });
        Ok(CrashingFile { disk: Arc::clone(&self.disk), inode })
    }

    fn open(&self, name: &str) -> io::Result<CrashingFile> {
        let inode = self.disk().named(name)?;
        Ok(CrashingFile { disk: Arc::clone(&self.disk), inode })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut disk = self.disk();
        disk.strike(Operation::Rename).map_err(Fault::error)?;
        let inode = disk.named(from)?;
        let change = Change::Rename { from: from.into(), to: to.into(), inode };
        disk.live.remove(from);
        disk.live.insert(to.into(), inode);
        disk.pending.push(change);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut disk = self.disk();
        disk.strike(Operation::Remove).map_err(Fault::error)?;
        disk.named(name)?;
        disk.live.remove(name);
        disk.pending.push(Change::Remove { name: name.into() });
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.disk().live.keys().cloned().collect())
    }

    fn sync_directory(&self) -> io::Result<()> {
        let mut disk = self.disk();
        disk.strike(Operation::SyncDirectory).map_err(Fault::error)?;
        disk.pending.clear();
        disk.durable = disk.live.clone();
        Ok(())
    }

    fn room(&self) -> io::Result<u64> {
        Ok(self.disk().room)
    }
}

impl CrashingFile {
    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StorageFile for CrashingFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let disk = self.disk();
        if disk.off {
            return Err(Fault::PowerCut.error());
        }
        let start = offset as usize;
        let bytes = disk.inodes[self.inode].live.get(start..start + buffer.len());
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut disk = self.disk();
        let was_off = disk.off;
        let end = offset as usize + bytes.len();
        let extends = end > disk.inodes[self.inode].live.len();
        let kind = if extends { Operation::Extend } else { Operation::Write };
        let (bytes, result) = match disk.strike(kind) {
            Ok(()) => (bytes, Ok(())),
            Err(fault) if fault == Fault::PowerCut && was_off => return Err(fault.error()),
            Err(fault) => {
                let sectors = bytes.len().div_ceil(SECTOR_BYTES) as u64;
                let some = disk.random.below(sectors + 1) as usize * SECTOR_BYTES;
                (&bytes[..some.min(bytes.len())], Err(fault.error()))
            }
        };
        disk.inodes[self.inode].write(bytes, offset as usize);
        result
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut disk = self.disk();
        match disk.strike(Operation::Sync) {
            Ok(()) => disk.inodes[self.inode].sync(),
            Err(Fault::PowerCut) => return Err(Fault::PowerCut.error()),
            Err(fault) => {
                let Disk { inodes, random, .. } = &mut *disk;
                inodes[self.inode].fail_to_sync(random);
                return Err(fault.error());
            }
        }
        Ok(())
    }

    fn refresh(&self, _: Range<u64>) -> io::Result<()> {
        let mut disk = self.disk();
        if disk.off {
            return Err(Fault::PowerCut.error());
        }
        disk.inodes[self.inode].forget_cache();
        Ok(())
    }

    fn settle(&self) -> io::Result<()> {
        self.sync_data()?;
        self.disk().inodes[self.inode].forget_cache();
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.disk().inodes[self.inode].live.len() as u64)
    }
}
