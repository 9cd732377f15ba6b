//! The memory that this process may have.

use std::{fs, path::Path};

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};

/// Returns the bytes that this process may have: the least of all limits that the system tells.
pub(super) fn memory_bytes() -> Option<usize> {
    let address_space = getrlimit(Resource::RLIMIT_AS).ok();
    let address_space = address_space.map(|(soft, _)| soft);
    let memory = Memory {
        machine: machine_bytes(&read("/proc/meminfo")),
        cgroup: cgroup_bytes(&read("/proc/self/cgroup"), Path::new("/sys/fs/cgroup")),
        address_space: address_space.filter(|soft| *soft != RLIM_INFINITY),
    };
    memory
        .least()
        .map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX))
}

/// The limits that the system tells. `None`: it tells none, or there is no limit.
struct Memory {
    machine: Option<u64>,
    cgroup: Option<u64>,
    address_space: Option<u64>,
}

impl Memory {
    fn least(&self) -> Option<u64> {
        let known = [self.machine, self.cgroup, self.address_space];
        known.into_iter().flatten().min()
    }
}

/// Reads a file; a missing file is empty.
fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Returns `MemTotal` of `/proc/meminfo`.
fn machine_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kib.checked_mul(1024)
}

/// Returns the least limit of the cgroups that `/proc/self/cgroup` names, and of those above, below `root`.
///
/// A container sees its own cgroup as the root, so that the path may lead nowhere. Then the directories that
/// exist on the way up count.
fn cgroup_bytes(own: &str, root: &Path) -> Option<u64> {
    let mut least = None;
    for line in own.lines() {
        // "0::/path" is version 2, "7:memory:/path" the hierarchy of version 1 that counts memory.
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let (top, files): (_, &[&str]) = match controllers {
            "" => (root.to_owned(), &["memory.max", "memory.high"]),
            _ if controllers.split(',').any(|name| name == "memory") => {
                (root.join("memory"), &["memory.limit_in_bytes"])
            }
            _ => continue,
        };
        let own = top.join(path.trim_start_matches('/'));
        let up_to_top = own.ancestors().take_while(|dir| dir.starts_with(&top));
        for dir in up_to_top {
            // "max" doesn't parse, and a number beyond any machine's memory loses against the least.
            let limits = files
                .iter()
                .map(|file| read(dir.join(file)).trim().parse().ok());
            least = limits.chain([least]).flatten().min();
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machine_is_read_as_proc_writes_it() {
        let meminfo = "MemTotal:        2048 kB\nMemFree:          100 kB\n";
        assert_eq!(machine_bytes(meminfo), Some(2 << 20));
        assert_eq!(machine_bytes(""), None);
        assert_eq!(machine_bytes("MemTotal: much\n"), None);
    }

    /// Files below a temporary directory, which is removed after the test.
    struct Cgroups(std::path::PathBuf);

    impl Cgroups {
        fn new(name: &str, files: &[(&str, &str)]) -> Self {
            let name = format!("sockeye-{}-{name}", std::process::id());
            let root = std::env::temp_dir().join(name);
            for (path, text) in files {
                let path = root.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            Self(root)
        }
    }

    impl Drop for Cgroups {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn of_version_2_the_least_on_the_way_up_counts() {
        let groups = Cgroups::new(
            "v2",
            &[
                ("a/memory.max", "1000\n"),
                ("a/b/memory.max", "max\n"),
                ("a/b/memory.high", "900\n"),
                ("a/b/c/memory.max", "2000\n"),
                ("beside/memory.max", "1\n"),
            ],
        );
        let bytes = |own| cgroup_bytes(own, &groups.0);
        assert_eq!(bytes("0::/a/b/c\n"), Some(900));
        assert_eq!(bytes("0::/a\n"), Some(1000));
        assert_eq!(bytes("0::/\n"), None);
        // In a container the path leads nowhere.
        assert_eq!(bytes("0::/a/gone/away\n"), Some(1000));
        assert_eq!(bytes("0::/../elsewhere\n"), None);
        assert_eq!(bytes("nonsense"), None);
    }

    #[test]
    fn of_version_1_the_hierarchy_that_counts_memory_is_read() {
        let groups = Cgroups::new(
            "v1",
            &[
                ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
                ("memory/a/memory.limit_in_bytes", "500\n"),
                ("cpu/b/memory.limit_in_bytes", "1\n"),
            ],
        );
        let own = "12:cpu,cpuacct:/b\n7:memory:/a\n0::/\n";
        assert_eq!(cgroup_bytes(own, &groups.0), Some(500));
    }

    #[test]
    fn the_least_limit_counts() {
        let memory = |machine, cgroup, address_space| Memory {
            machine,
            cgroup,
            address_space,
        };
        assert_eq!(memory(Some(3), Some(2), None).least(), Some(2));
        assert_eq!(memory(Some(3), None, Some(1)).least(), Some(1));
        assert_eq!(memory(None, None, None).least(), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_machine_has_memory() {
        assert!(memory_bytes().is_some_and(|bytes| bytes > 1 << 20));
    }
}
