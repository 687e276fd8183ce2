//! The log in a redb file: the only module that knows redb.
//!
//! The file holds two tables. `log` maps a revision (`u64`) to the change it made, in the bytes of
//! [`Record`]. `meta` maps a name to a `u64`: `format` to [`FORMAT`], `compacted` to the compacted
//! revision. A change after the compacted revision is never missing. One at or before it may be,
//! once a later one at or before it has superseded it; a deletion only after all that it deleted.
//! So the newest revision is the larger of `compacted` and the last key of `log`.
//!
//! A commit is one redb transaction and one fsync: redb writes new pages beside the old ones and
//! then the new root with its checksum. After a crash it takes the last root whose checksums hold,
//! so a torn write is a write that was never acknowledged.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use redb::{Database, DatabaseError, Durability, ReadableDatabase, ReadableTable, TableDefinition};

use crate::log::{Batch, Log, LogError};
use crate::mvcc::Mvcc;
use crate::record::Record;
use crate::store::{Entry, Event, Revision};

const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const FORMAT_KEY: &str = "format";
const COMPACTED_KEY: &str = "compacted";

/// The version of the tables' content. An older one would be brought up to date when opened; there
/// is none yet.
const FORMAT: u64 = 1;

/// Everything current is in memory already; redb keeps only what a transaction touches.
const CACHE_BYTES: usize = 4 << 20;

/// Why a data file could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has it open.
    #[error("{path} is in use by another process")]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// It was written by a newer release.
    #[error("{path} has format {found}; this release reads formats up to {FORMAT}")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u64,
    },
    /// It could not be made or opened.
    #[error("{path} could not be opened")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is not a data file, or damaged beyond what a crash can do.
    #[error("{path} is not a readable data file")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: LogError,
    },
}

pub(crate) struct RedbLog {
    database: Database,
}

impl RedbLog {
    /// Opens the file at `path`, or makes it: readable by its owner alone, since a cluster's
    /// secrets are in it.
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        if !path.try_exists().map_err(|source| OpenError::Io { path: path.to_owned(), source })? {
            return create(path);
        }
        let log = Self { database: database(path)? };
        match log.format() {
            Ok(FORMAT) => Ok(log),
            Ok(found) => Err(OpenError::Newer { path: path.to_owned(), found }),
            Err(source) => Err(OpenError::Unreadable { path: path.to_owned(), source }),
        }
    }

    fn format(&self) -> Result<u64, LogError> {
        let meta = self.database.begin_read()?.open_table(META)?;
        Ok(meta.get(FORMAT_KEY)?.ok_or("it holds no format version")?.value())
    }

    fn initialise(&self) -> Result<(), LogError> {
        let transaction = self.database.begin_write()?;
        transaction.open_table(META)?.insert(FORMAT_KEY, FORMAT)?;
        transaction.open_table(META)?.insert(COMPACTED_KEY, 0)?;
        transaction.open_table(LOG)?;
        Ok(transaction.commit()?)
    }
}

/// Makes an empty data file at `path`, and keeps it open. It gets its name when it is complete, so that a crash
/// leaves no half of one.
fn create(path: &Path) -> Result<RedbLog, OpenError> {
    let failed = |source| OpenError::Io { path: path.to_owned(), source };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(failed)?;
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".new");
    let unfinished = Path::new(&unfinished);
    match fs::remove_file(unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let log = RedbLog { database: database(unfinished)? };
    log.initialise().map_err(|source| OpenError::Unreadable { path: unfinished.to_owned(), source })?;
    fs::rename(unfinished, path).map_err(failed)?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    Ok(log)
}

fn database(path: &Path) -> Result<Database, OpenError> {
    let io = |source| OpenError::Io { path: path.to_owned(), source };
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path).map_err(io)?;
    redb::Builder::new().set_cache_size(CACHE_BYTES).create_file(file).map_err(|error| match error {
        DatabaseError::DatabaseAlreadyOpen => OpenError::Locked { path: path.to_owned() },
        source => OpenError::Unreadable { path: path.to_owned(), source: source.into() },
    })
}

impl Log for RedbLog {
    fn load(&mut self) -> Result<(Mvcc, Vec<Revision>), LogError> {
        let transaction = self.database.begin_read()?;
        let compacted = transaction.open_table(META)?.get(COMPACTED_KEY)?.map_or(0, |value| value.value());
        let (mut state, mut superseded) = (Mvcc::at(compacted), Vec::new());
        for row in transaction.open_table(LOG)?.iter()? {
            let (revision, bytes) = row?;
            let record = Record::decode(bytes.value())?;
            if revision.value() <= compacted {
                restore(&mut state, revision.value(), &record, &mut superseded);
            } else {
                replay(&mut state, revision.value(), &record)?;
            }
        }
        Ok((state, superseded))
    }

    fn append(&mut self, batch: &Batch<'_>) -> Result<(), LogError> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        {
            let mut log = transaction.open_table(LOG)?;
            for event in batch.events {
                let record = Record::of(event);
                record.encode(log.insert_reserve(event.revision, record.len())?.as_mut());
            }
            for revision in batch.superseded {
                log.remove(revision)?;
            }
        }
        if let Some(compacted) = batch.compacted {
            transaction.open_table(META)?.insert(COMPACTED_KEY, compacted)?;
        }
        Ok(transaction.commit()?)
    }
}

/// A change at or before the compacted revision.
fn restore(state: &mut Mvcc, revision: Revision, record: &Record<'_>, superseded: &mut Vec<Revision>) {
    let previous = match record.value {
        Some(value) => state.restore(entry(Arc::from(record.key), revision, record, value)),
        None => {
            let previous = state.forget(record.key);
            superseded.extend(previous.iter().map(|entry| entry.mod_revision));
            superseded.push(revision);
            return;
        }
    };
    superseded.extend(previous.map(|entry| entry.mod_revision));
}

/// A change after the compacted revision.
fn replay(state: &mut Mvcc, revision: Revision, record: &Record<'_>) -> Result<(), LogError> {
    if revision != state.revision() + 1 {
        return Err(format!("revision {} is missing", state.revision() + 1).into());
    }
    let previous = state.get(record.key).cloned();
    if previous.is_none() && record.value.is_none() {
        return Err(format!("revision {revision} deletes {:?}, which does not exist", record.key).into());
    }
    let key = previous.as_ref().map_or_else(|| Arc::from(record.key), |entry| Arc::clone(&entry.key));
    let entry = record.value.map(|value| entry(key, revision, record, value));
    state.apply(Event { revision, previous, entry });
    Ok(())
}

fn entry(key: Arc<str>, mod_revision: Revision, record: &Record<'_>, value: &[u8]) -> Arc<Entry> {
    let (value, memo) = (Bytes::copy_from_slice(value), OnceLock::new());
    Arc::new(Entry { key, value, create_revision: record.create_revision, mod_revision, memo })
}
