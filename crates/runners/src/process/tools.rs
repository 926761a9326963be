//! The commands that processes find.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::confine::is_command;

/// Every command of a `PATH`, the first of each name.
pub(super) fn all(path: &str) -> BTreeMap<String, PathBuf> {
    let mut found = BTreeMap::new();
    for folder in path.split(':').filter(|folder| !folder.is_empty()) {
        let Ok(items) = std::fs::read_dir(folder) else {
            continue;
        };
        for item in items.flatten() {
            let Ok(name) = item.file_name().into_string() else {
                continue;
            };
            if !found.contains_key(&name) && is_command(&item.path()) {
                found.insert(name, item.path());
            }
        }
    }
    found
}

/// One command of a `PATH`.
pub(super) fn find(path: &str, name: &str) -> Option<PathBuf> {
    if name.is_empty() || name.contains('/') {
        return None;
    }
    path.split(':')
        .filter(|folder| !folder.is_empty())
        .map(|folder| Path::new(folder).join(name))
        .find(|file| is_command(file))
}
