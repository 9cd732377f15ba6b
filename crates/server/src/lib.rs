//! The product.
/// Runs.
pub fn run() {}
