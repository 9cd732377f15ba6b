//! The directory of `--data`: what must outlive the process lies below it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// A directory that is there and can be written to.
#[derive(Clone, Debug)]
pub(crate) struct DataDir(PathBuf);

impl DataDir {
    /// Makes the directory if it is missing, readable by nobody else, and writes into it to see that it can.
    ///
    /// # Errors
    ///
    /// One line that names the directory, what failed and what to do.
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        let refuse = |what: &str, error: io::Error| {
            format!(
                "--data {}: cannot {what}: {error}; name a directory that this user may write to, \
                 or leave --data out to keep everything in memory",
                path.display()
            )
        };
        make(path).map_err(|error| refuse("make the directory", error))?;
        let probe = path.join(PROBE);
        fs::write(&probe, b"sockeye\n").map_err(|error| refuse("write to it", error))?;
        fs::remove_file(&probe).map_err(|error| refuse("remove a file from it", error))?;
        Ok(Self(path.to_owned()))
    }

    /// Where it is, as it was named.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

/// Who may read presence may know who talked when, so the directory is its owner's alone (mode 0700).
fn make(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Written and removed at every start.
const PROBE: &str = ".sockeye-can-write-here";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_directory_is_made_and_left_empty() {
        let parent = tempfile::TempDir::new().unwrap();
        let path = parent.path().join("one/two");
        DataDir::open(&path).unwrap();
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
        DataDir::open(&path).unwrap();
    }

    #[test]
    fn a_place_where_nothing_can_be_is_named_with_a_way_out() {
        let parent = tempfile::TempDir::new().unwrap();
        let file = parent.path().join("file");
        fs::write(&file, "").unwrap();
        for path in [file.clone(), file.join("below")] {
            let error = DataDir::open(&path).unwrap_err();
            let begins = format!("--data {}: cannot make the directory: ", path.display());
            assert!(error.starts_with(&begins), "{error}");
            assert!(error.contains("leave --data out"), "{error}");
        }
    }
}
