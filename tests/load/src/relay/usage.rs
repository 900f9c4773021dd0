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

/// Nanoseconds of work of a relay, from some moment on: of its threads, or of everything on its core, where that is asked for.
pub(super) fn work(pid: u32, core: Option<u32>) -> io::Result<u64> {
    core.map_or_else(|| cpu(pid), busy)
}

/// Nanoseconds that a core was not idle; what the kernel does for arriving packets is among them, whoever it is charged to.
fn busy(core: u32) -> io::Result<u64> {
    let uptime = std::fs::read_to_string("/proc/uptime")?;
    let uptime = uptime.split(' ').next().and_then(|seconds| seconds.parse::<f64>().ok());
    let uptime = uptime.ok_or_else(|| io::Error::other("no time since the start of the machine"))?;
    let text = std::fs::read_to_string("/proc/stat")?;
    let name = format!("cpu{core} ");
    let columns = text.lines().find_map(|line| line.strip_prefix(&name));
    // User, nice, system, idle, waiting for input: in hundredths of a second (proc_stat(5)).
    let idle: u64 = columns
        .into_iter()
        .flat_map(|text| text.split(' ').skip(3).take(2))
        .filter_map(|n| n.parse::<u64>().ok())
        .sum();
    Ok(((uptime * 1e9) as u64).saturating_sub(idle * 10_000_000))
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
