//! File systems made, mounted, filled and cut off. Only root may do that.

mod audit;
mod backup;
mod disk;
mod full_disk;
mod power_cut;
#[cfg(feature = "postgres")]
mod stores;
