//! Tests of the log on disks that fail: rules one at a time, and stories at random.

mod fault_disk;
mod rules;
mod simulation;
