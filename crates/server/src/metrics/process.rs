//! What the system says about this process, under the names that all of Prometheus' libraries use.

use prometheus::proto::MetricType;

use super::families::Families;

/// Adds what can be found out. On systems without `/proc` that is nothing.
pub(super) fn add(families: &mut Families<'_>) {
    #[cfg(target_os = "linux")]
    linux::add(families);
    #[cfg(not(target_os = "linux"))]
    let _ = (families, MetricType::GAUGE);
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;

    use super::{Families, MetricType};

    pub(super) fn add(families: &mut Families<'_>) {
        if let Some(usage) = usage() {
            families.process(
                "process_cpu_seconds_total",
                "Time on processors, in the process and in the kernel for it.",
                MetricType::COUNTER,
                usage.cpu_seconds,
            );
            families.process(
                "process_resident_memory_bytes",
                "Resident memory.",
                MetricType::GAUGE,
                usage.resident_bytes,
            );
            families.process(
                "process_virtual_memory_bytes",
                "Virtual memory.",
                MetricType::GAUGE,
                usage.virtual_bytes,
            );
            if let Some(start) = boot_seconds().map(|boot| boot + usage.start_seconds) {
                families.process(
                    "process_start_time_seconds",
                    "Start of the process, in seconds since 1970.",
                    MetricType::GAUGE,
                    start,
                );
            }
        }
        if let Ok(entries) = fs::read_dir("/proc/self/fd") {
            families.process(
                "process_open_fds",
                "Open file descriptors.",
                MetricType::GAUGE,
                // Without the one by which they are counted.
                entries.count().saturating_sub(1) as f64,
            );
        }
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        if let Some(max) = limit.current {
            families.process(
                "process_max_fds",
                "Most file descriptors that can be open.",
                MetricType::GAUGE,
                max as f64,
            );
        }
    }

    struct Usage {
        cpu_seconds: f64,
        virtual_bytes: f64,
        resident_bytes: f64,
        /// Since the machine's start.
        start_seconds: f64,
    }

    fn usage() -> Option<Usage> {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        // Behind the name of the program, which is in brackets and may have any characters: proc_pid_stat(5) from
        // field 3 on.
        let fields: Vec<f64> = stat
            .rsplit_once(')')?
            .1
            .split_whitespace()
            .map(|field| field.parse().unwrap_or_default())
            .collect();
        let field = |number: usize| fields.get(number - 3).copied();
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        let page = rustix::param::page_size() as f64;
        Some(Usage {
            cpu_seconds: (field(14)? + field(15)?) / ticks,
            start_seconds: field(22)? / ticks,
            virtual_bytes: field(23)?,
            resident_bytes: field(24)? * page,
        })
    }

    fn boot_seconds() -> Option<f64> {
        let stat = fs::read_to_string("/proc/stat").ok()?;
        let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
        line.trim().parse().ok()
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use prometheus::proto::MetricFamily;

    use super::*;

    fn value(families: &[MetricFamily], name: &str) -> f64 {
        let family = families.iter().find(|family| family.name() == name);
        let metric = &family.unwrap_or_else(|| panic!("no {name}")).get_metric()[0];
        match name.ends_with("_total") {
            true => metric.get_counter().get_value(),
            false => metric.get_gauge().get_value(),
        }
    }

    fn now() -> Vec<MetricFamily> {
        let mut families = Families::new("test");
        add(&mut families);
        families.into_vec()
    }

    #[test]
    fn a_process_sees_what_it_uses() {
        let before = now();
        let held = vec![1_u8; 64 << 20];
        // Many, since other tests open and close files at the same time.
        let files: Vec<_> = (0..400)
            .map(|_| std::fs::File::open("/proc/self/stat"))
            .collect();
        let after = now();
        let grown = |name| value(&after, name) - value(&before, name);
        assert!(grown("process_resident_memory_bytes") > 32e6);
        assert!(grown("process_virtual_memory_bytes") > 32e6);
        assert!(grown("process_open_fds") >= 200.0);
        assert!(value(&after, "process_max_fds") > value(&after, "process_open_fds"));
        // After 2020.
        assert!(value(&after, "process_start_time_seconds") > 1.577e9);
        drop((held, files));
    }

    #[test]
    fn time_on_processors_grows() {
        let before = value(&now(), "process_cpu_seconds_total");
        let begun = std::time::Instant::now();
        // The kernel counts in hundredths of a second.
        while value(&now(), "process_cpu_seconds_total") == before {
            assert!(begun.elapsed().as_secs() < 60);
        }
    }
}
