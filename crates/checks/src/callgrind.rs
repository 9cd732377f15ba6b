//! Instructions of the protocol core, counted by callgrind.
//!
//! The program that is counted is `benches/core`: it reads the same bytes from memory, as often as asked.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::need;

/// The libraries whose instructions are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Libraries {
    /// This project's alone.
    Own,
    /// Other libraries, too, which take minutes to compile.
    WithPeers,
}

/// `benches/core`, built as users would build the library.
pub struct Core {
    program: PathBuf,
}

impl Core {
    /// Builds the program.
    ///
    /// # Panics
    /// If it does not build.
    #[must_use]
    pub fn build(libraries: Libraries) -> Self {
        let target = need::root().join("target/core");
        let features: &[&str] = match libraries {
            Libraries::Own => &["--no-default-features"],
            Libraries::WithPeers => &[],
        };
        let status = Command::new(env!("CARGO"))
            .args(["build", "--release", "--locked", "--quiet", "--target-dir"])
            .arg(&target)
            .args(features)
            .current_dir(need::root().join("benches/core"))
            .status();
        assert!(status.expect("cargo runs").success(), "it does not build");
        let program = target.join("release/core");
        Self { program }
    }

    /// Returns the program itself, to be run without callgrind.
    #[must_use]
    pub fn command(&self) -> Command {
        Command::new(&self.program)
    }

    /// Counts the instructions per frame. `None` where callgrind can't count them.
    ///
    /// # Panics
    /// If callgrind or the program fails.
    #[must_use]
    pub fn instructions(&self, library: &str, story: &str, frames: u64) -> Option<u64> {
        if !cfg!(target_arch = "x86_64") {
            return need::missing("callgrind for this processor", "on x86_64: make core");
        }
        need::valgrind()?;
        let folder = tempfile::tempdir().expect("a folder for what is not looked at");
        let details = folder.path().join("callgrind.out");
        let [few, many] = ROUNDS.map(|rounds| {
            let output = Command::new("valgrind")
                .arg("--tool=callgrind")
                .arg(format!("--callgrind-out-file={}", details.display()))
                .arg(&self.program)
                .args([library, story, &rounds.to_string()])
                .env("GLIBC_TUNABLES", PORTABLE_C_LIBRARY)
                .stdin(Stdio::null())
                .output();
            let output = output.expect("valgrind runs");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{said}");
            said.lines()
                .find_map(|line| {
                    let count = line.split_once("Collected : ")?.1;
                    count.trim().parse::<u64>().ok()
                })
                .unwrap_or_else(|| panic!("no count in {said}"))
        });
        Some((many - few) / (ROUNDS[1] - ROUNDS[0]) / frames)
    }
}

/// Rounds of the two runs whose difference is the cost of the rounds, without what happens once.
const ROUNDS: [u64; 2] = [200, 700];

/// glibc chooses its memcpy by the processor: this makes it take the one that all of x86_64 has.
const PORTABLE_C_LIBRARY: &str = "glibc.cpu.hwcaps=-AVX2,-AVX2_Usable,-AVX512F,-AVX512VL,-ERMS,\
    -AVX_Fast_Unaligned_Load,-Prefer_ERMS,-Prefer_FSRM";
