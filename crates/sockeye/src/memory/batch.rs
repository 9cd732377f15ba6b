//! What a thread has charged and not yet reported to the budget.

use std::cell::RefCell;

use super::MemoryBudget;

/// Bytes. So much a thread charges, or releases, before it reports that: the budget's count is one word for all
/// threads, and small holders come and go with each message.
const BATCH_BYTES: usize = 16 << 10;

thread_local! {
    static BATCH: RefCell<Batch> = const {
        RefCell::new(Batch { budget: None, bytes: 0 })
    };
}

/// What a thread has charged and not yet reported.
struct Batch {
    /// Which budget it concerns. A thread usually has to do with one.
    budget: Option<MemoryBudget>,
    /// |bytes| < BATCH_BYTES
    bytes: isize,
}

/// Charges `bytes`, or releases them if there are fewer than none.
pub(super) fn add(budget: &MemoryBudget, bytes: isize) {
    let added = BATCH.try_with(|batch| batch.borrow_mut().add(budget, bytes));
    if added.is_err() {
        // The thread is about to end.
        budget.count().add(bytes);
    }
}

/// Reports what this thread has not reported yet.
pub(super) fn report() {
    let _ = BATCH.try_with(|batch| batch.borrow_mut().report());
}

impl Batch {
    fn add(&mut self, budget: &MemoryBudget, bytes: isize) {
        if !self.budget.as_ref().is_some_and(|own| own.is(budget)) {
            self.report();
            self.budget = Some(budget.clone());
        }
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes.unsigned_abs() >= BATCH_BYTES {
            self.report();
        }
    }

    fn report(&mut self) {
        if let Some(budget) = &self.budget {
            budget.count().add(std::mem::take(&mut self.bytes));
        }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.report();
    }
}
