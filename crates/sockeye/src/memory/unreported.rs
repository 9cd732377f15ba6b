//! The bytes that a thread has charged and not yet reported to the budget.

use std::{cell::RefCell, sync::Arc};

use crate::memory::count::Count;

/// Bytes that a thread charges or releases before it reports them. All threads write to one count, and small
/// holders come and go with each message.
const REPORT_BYTES: usize = 16 << 10;

thread_local! {
    static UNREPORTED: RefCell<Unreported> = const {
        RefCell::new(Unreported { count: None, bytes: 0 })
    };
}

/// The bytes that a thread has charged and not yet reported.
struct Unreported {
    /// The budget to which the bytes belong. A thread usually works with one.
    count: Option<Arc<Count>>,
    /// |bytes| < REPORT_BYTES
    bytes: isize,
}

/// Charges `bytes`, or releases them if the number is negative. A report to the budget may wake tasks and
/// workers.
pub(super) fn add(count: &Arc<Count>, bytes: isize) {
    let reported = UNREPORTED.try_with(|unreported| unreported.borrow_mut().add(count, bytes));
    match reported {
        Ok(Reported::No) => return,
        Ok(Reported::Yes) => {}
        // The thread is ending, and its thread-local values are gone.
        Err(_) => count.add(bytes),
    }
    // Only after the borrow has ended: a waker may charge memory on this thread.
    count.follow_up();
}

/// Reports the bytes that this thread has not reported yet.
pub(super) fn report() {
    let _ = UNREPORTED.try_with(|unreported| unreported.borrow_mut().report());
}

/// Whether the bytes were reported to the budget.
enum Reported {
    Yes,
    No,
}

impl Unreported {
    fn add(&mut self, count: &Arc<Count>, bytes: isize) -> Reported {
        if !self
            .count
            .as_ref()
            .is_some_and(|own| Arc::ptr_eq(own, count))
        {
            self.report();
            self.count = Some(Arc::clone(count));
        }
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes.unsigned_abs() < REPORT_BYTES {
            return Reported::No;
        }
        self.report();
        Reported::Yes
    }

    fn report(&mut self) {
        if let Some(count) = &self.count {
            count.add(std::mem::take(&mut self.bytes));
        }
    }
}

impl Drop for Unreported {
    fn drop(&mut self) {
        self.report();
    }
}
