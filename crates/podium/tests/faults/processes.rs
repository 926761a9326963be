//! The machine's processes, as the kernel tells of them.

use std::path::Path;

/// The ids of all processes.
pub fn all() -> Vec<u32> {
    let items = std::fs::read_dir("/proc").unwrap().flatten();
    items
        .filter_map(|item| item.file_name().to_str()?.parse().ok())
        .collect()
}

/// The arguments of a process, if it still runs.
pub fn arguments(pid: u32) -> Vec<String> {
    let text = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = text.split(|byte| *byte == 0).filter(|word| !word.is_empty());
    words
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect()
}

/// The parent of a process, and whether it runs rather than waits to be reaped.
pub fn parent(pid: u32) -> Option<(u32, bool)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    let mut words = rest.split_whitespace();
    let state = words.next()?;
    Some((words.next()?.parse().ok()?, state != "Z"))
}

/// The shims of a data folder.
pub fn shims(data: &Path) -> Vec<u32> {
    let data = data.canonicalize().unwrap_or_else(|_| data.to_owned());
    let of_data = |pid: &u32| {
        let words = arguments(*pid);
        words.get(1).is_some_and(|word| word == "shim")
            && words
                .last()
                .is_some_and(|folder| Path::new(folder).starts_with(&data))
    };
    all().into_iter().filter(of_data).collect()
}

/// The shims of a data folder that keep workloads.
pub fn workload_shims(data: &Path) -> Vec<u32> {
    let keeps = |pid: &u32| {
        arguments(*pid)
            .last()
            .is_some_and(|folder| folder.contains("/runner/workloads/"))
    };
    shims(data).into_iter().filter(keeps).collect()
}

/// The processes below one, at any depth.
pub fn below(pid: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = all()
        .into_iter()
        .filter_map(|pid| Some((pid, parent(pid).filter(|found| found.1)?.0)))
        .collect();
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(above) = found.get(next).copied() {
        found.extend(
            parents
                .iter()
                .filter(|(_, parent)| *parent == above)
                .map(|(pid, _)| *pid),
        );
        next += 1;
    }
    found.remove(0);
    found.sort_unstable();
    found
}

/// Whether a process runs.
pub fn runs(pid: u32) -> bool {
    parent(pid).is_some_and(|(_, runs)| runs)
}

/// Sends a signal to one process.
pub fn signal(pid: u32, signal: nix::sys::signal::Signal) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap());
    nix::sys::signal::kill(pid, signal).unwrap();
}
