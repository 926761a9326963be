//! The master key, and the keys that it wraps.
//!
//! **Guarantees.** The master key is durable before anything is sealed under it. A store that holds keys never gets
//! a new master key: a missing or wrong one refuses to open, since new keys would make all that is sealed
//! unreadable.
//!
//! **Refuses** a key file that its group or others may read, and a key of another size than 32 bytes.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rusqlite::{Connection, params};
use zeroize::{Zeroize, Zeroizing};

use super::failure::opening;
use super::folder::Folder;
use crate::error::{OpenError, SealError, StoreError};
use crate::sealing::{KeyBytes, Sealer, key_from, key_name, random_key, unwrap, wrap};

/// Where the master key comes from: 32 bytes, as base64.
#[derive(Clone)]
pub enum MasterKey {
    /// The file `master.key` in the data folder, made at the first start.
    Folder,
    /// This file, made at the first start.
    File(PathBuf),
    /// A value, as taken from the environment variable `variable`.
    Value {
        /// The variable, to name it in errors.
        variable: String,
        /// The key as base64.
        value: Zeroizing<String>,
    },
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Folder => formatter.write_str("Folder"),
            Self::File(path) => formatter.debug_tuple("File").field(path).finish(),
            Self::Value { variable, .. } => formatter
                .debug_struct("Value")
                .field("variable", variable)
                .finish_non_exhaustive(),
        }
    }
}

/// Reads the keys of the store, or makes them when it has none.
pub(super) fn load(
    connection: &Connection,
    database: &Path,
    folder: &Folder,
    source: &MasterKey,
) -> Result<Sealer, OpenError> {
    let wrapped = read(connection).map_err(opening(database))?;
    let (master, place) = master(folder, source, wrapped.is_empty())?;
    let keys = if wrapped.is_empty() {
        create(connection, database, &master)?
    } else {
        let name = key_name(&master);
        let mut keys = Vec::with_capacity(wrapped.len());
        for row in wrapped {
            let opened = unwrap(&master, &format!("{}/{}", row.purpose, row.id), &row.sealed);
            match opened {
                Ok(key) => keys.push((row.id, row.purpose, key)),
                Err(_) if row.master == name => {
                    let reason = format!("the key {} does not open", row.id);
                    return Err(OpenError::Damaged {
                        path: database.display().to_string(),
                        reason,
                    });
                }
                Err(_) => return Err(OpenError::KeyWrong { path: place }),
            }
        }
        keys
    };
    let one = |wanted: &str| {
        let found = keys
            .iter()
            .find(|(_, purpose, _)| purpose == wanted)
            .map(|(_, _, key)| key);
        found.ok_or_else(|| OpenError::Damaged {
            path: database.display().to_string(),
            reason: format!("the {wanted} key is not there"),
        })
    };
    let data: BTreeMap<u32, KeyBytes> = keys
        .iter()
        .filter(|(_, purpose, _)| purpose == "data")
        .map(|(id, _, key)| (*id, key.clone()))
        .collect();
    Sealer::new(&data, one("digest")?, one("derivation")?).map_err(sealing)
}

struct WrappedKey {
    id: u32,
    purpose: String,
    master: String,
    sealed: Vec<u8>,
}

fn read(connection: &Connection) -> rusqlite::Result<Vec<WrappedKey>> {
    let mut statement = connection.prepare("SELECT id, purpose, master, wrapped FROM keys ORDER BY id")?;
    let rows = statement.query_map([], |row| {
        Ok(WrappedKey {
            id: row.get(0)?,
            purpose: row.get(1)?,
            master: row.get(2)?,
            sealed: row.get(3)?,
        })
    })?;
    rows.collect()
}

fn create(
    connection: &Connection,
    database: &Path,
    master: &KeyBytes,
) -> Result<Vec<(u32, String, KeyBytes)>, OpenError> {
    let transaction = connection.unchecked_transaction().map_err(opening(database))?;
    let mut keys = Vec::new();
    for (id, purpose) in [(1_u32, "data"), (2, "digest"), (3, "derivation")] {
        let key = random_key().map_err(sealing)?;
        let wrapped = wrap(master, &format!("{purpose}/{id}"), &key).map_err(sealing)?;
        transaction
            .execute(
                "INSERT INTO keys (id, purpose, master, wrapped) VALUES (?1, ?2, ?3, ?4)",
                params![id, purpose, key_name(master), wrapped],
            )
            .map_err(opening(database))?;
        keys.push((id, purpose.to_owned(), key));
    }
    transaction.commit().map_err(opening(database))?;
    Ok(keys)
}

/// The master key, and where it came from as errors name it.
fn master(folder: &Folder, source: &MasterKey, first: bool) -> Result<(KeyBytes, String), OpenError> {
    let path = match source {
        MasterKey::Value { variable, value } => {
            let place = format!("in the environment variable {variable}");
            return Ok((decode(value.as_bytes(), &place)?, place));
        }
        MasterKey::Folder => folder.join("master.key"),
        MasterKey::File(path) => path.clone(),
    };
    let place = path.display().to_string();
    let unusable = |error: std::io::Error| OpenError::KeyUnusable {
        path: place.clone(),
        reason: error.to_string(),
    };
    match File::open(&path) {
        Ok(file) => {
            let metadata = file.metadata().map_err(unusable)?;
            let mode = metadata.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                let reason = format!("others may read it (mode {mode:04o}); run `chmod 600` on it");
                return Err(OpenError::KeyUnusable { path: place, reason });
            }
            let mut text = Zeroizing::new(Vec::with_capacity(256));
            file.take(256).read_to_end(&mut text).map_err(unusable)?;
            Ok((decode(&text, &place)?, place))
        }
        Err(error) if error.kind() == ErrorKind::NotFound && first => {
            let key = random_key().map_err(sealing)?;
            write(&path, &key).map_err(unusable)?;
            Ok((key, place))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Err(OpenError::KeyMissing { path: place }),
        Err(error) => Err(unusable(error)),
    }
}

fn decode(text: &[u8], place: &str) -> Result<KeyBytes, OpenError> {
    let unusable = |reason: &str| OpenError::KeyUnusable {
        path: place.to_owned(),
        reason: reason.to_owned(),
    };
    let mut bytes = STANDARD
        .decode(text.trim_ascii())
        .map_err(|_| unusable("it is not base64 of 32 bytes"))?;
    let key = key_from(&bytes).ok_or_else(|| unusable("it has not exactly 32 bytes"));
    bytes.zeroize();
    key
}

/// Writes a new key so that power loss leaves the whole of it or nothing: under another name first, synced, then
/// renamed, and the folder synced.
fn write(path: &Path, key: &KeyBytes) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut text = Zeroizing::new(STANDARD.encode(&key[..]));
    text.push('\n');
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

fn sealing(source: SealError) -> OpenError {
    OpenError::Store(StoreError::Database {
        context: "making the keys of the store",
        source: source.into(),
    })
}
