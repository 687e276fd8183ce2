//! What a process has used, as `/proc` tells.

use std::time::Duration;

/// Processor time since its start, and memory now.
pub(crate) struct Usage {
    pub(crate) cpu: Duration,
    /// Bytes, pages of the program file included.
    pub(crate) resident: u64,
}

impl Usage {
    pub(crate) fn of(pid: u32) -> Self {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap();
        let resident = read("status")
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok())
            .unwrap();
        // After the name, which may hold anything, utime and stime are the 12th and 13th.
        let stat = read("stat");
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks = |index: usize| fields[index].parse::<u64>().unwrap();
        let hertz = rustix::param::clock_ticks_per_second();
        let cpu = Duration::from_nanos((ticks(11) + ticks(12)) * (1_000_000_000 / hertz));
        Self { cpu, resident: resident * 1024 }
    }
}
