//! How many files, and so sockets, this process and those that it starts may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit of open files to `files`, if it is lower. A process that is started later inherits it.
///
/// # Panics
///
/// The system doesn't allow so many.
pub fn allow_open_files(files: u64) {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < files) {
        let wanted = Rlimit {
            current: Some(files),
            maximum: limit.maximum,
        };
        setrlimit(Resource::Nofile, wanted).expect("as many files as clients");
    }
}
