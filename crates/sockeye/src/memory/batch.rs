//! What a thread has charged and not yet reported to the budget.

use std::cell::RefCell;

use crate::memory::budget::MemoryBudget;

/// Bytes. So much a thread charges, or releases, before it reports that: the budget's count is one word for all
/// threads, and small holders come and go with each message.
const BATCH_BYTES: usize = 16 << 10;

thread_local! {
    static BATCH: RefCell<Unreported> = const {
        RefCell::new(Unreported { budget: None, bytes: 0 })
    };
}

/// What a thread has charged and not yet reported.
struct Unreported {
    /// Which budget it concerns. A thread usually has to do with one.
    budget: Option<MemoryBudget>,
    /// |bytes| < BATCH_BYTES
    bytes: isize,
}

/// Charges `bytes`, or releases them if there are fewer than none. May wake others, if it is reported.
pub(super) fn add(budget: &MemoryBudget, bytes: isize) {
    let reported = BATCH.try_with(|batch| batch.borrow_mut().add(budget, bytes));
    match reported {
        Ok(Reported::No) => return,
        Ok(Reported::Yes) => {}
        // The thread is about to end.
        Err(_) => budget.count().add(bytes),
    }
    // Not while the batch is borrowed: who is woken may come by here.
    budget.count().follow_up();
}

/// Reports what this thread has not reported yet.
pub(super) fn report() {
    let _ = BATCH.try_with(|batch| batch.borrow_mut().report());
}

/// Whether the budget was told.
enum Reported {
    Yes,
    No,
}

impl Unreported {
    fn add(&mut self, budget: &MemoryBudget, bytes: isize) -> Reported {
        if !self.budget.as_ref().is_some_and(|own| own.is(budget)) {
            self.report();
            self.budget = Some(budget.clone());
        }
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes.unsigned_abs() < BATCH_BYTES {
            return Reported::No;
        }
        self.report();
        Reported::Yes
    }

    fn report(&mut self) {
        if let Some(budget) = &self.budget {
            budget.count().add(std::mem::take(&mut self.bytes));
        }
    }
}

impl Drop for Unreported {
    fn drop(&mut self) {
        self.report();
    }
}
