//! What a process of this machine uses, as the kernel counts it (proc(5)).

use std::io;

/// What a process holds at a moment.
#[derive(Clone, Copy, Default)]
pub(super) struct Usage {
    /// Resident memory, KiB.
    pub(super) memory: u64,
    /// File descriptors, sockets among them.
    pub(super) files: u64,
}

/// What a process holds now.
pub(super) fn usage(pid: u32) -> io::Result<Usage> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let memory = memory.and_then(|text| text.split_whitespace().next()?.parse().ok());
    let memory = memory.ok_or_else(|| io::Error::other("no VmRSS"))?;
    Ok(Usage { memory, files: std::fs::read_dir(format!("/proc/{pid}/fd"))?.count() as u64 })
}

/// Nanoseconds that all threads of a process have run (`schedstat`).
pub(super) fn cpu(pid: u32) -> io::Result<u64> {
    let mut sum = 0;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        sum += text.split(' ').next().and_then(|number| number.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(sum)
}
