//! Where the lines go: a file that is rotated, or the standard output. One task writes.

use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use trimtab_env::Tasks;

/// So many bytes may wait to be written.
const WAITING: usize = 64 << 20;
/// How long a request waits for room; then its line is lost, which is told.
const PATIENCE: Duration = Duration::from_secs(1);
/// So many lines are written at once.
const BATCH: usize = 256;

/// Where the audit log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The process's standard output.
    Stdout,
    /// A file, which is appended to.
    File(PathBuf, Rotation),
}

/// When a file is put aside, and how many such files are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// The size in bytes that a file does not grow over; 0 for no limit.
    pub max_size: u64,
    /// How many files are kept beside the newest: `LOG.1` is the youngest of them; 0 for all.
    pub max_backups: usize,
}

enum Message {
    /// With what it holds of [`WAITING`].
    Line(Vec<u8>, OwnedSemaphorePermit),
    Flush(oneshot::Sender<()>),
}

pub(super) struct Log {
    /// What is in it is bounded by the bytes of its lines, which differ too much for a count.
    lines: mpsc::UnboundedSender<Message>,
    room: Arc<Semaphore>,
    lost: Arc<AtomicU64>,
    /// The writer, which ends when no more lines can come.
    _tasks: Tasks,
}

impl Log {
    pub(super) fn open(destination: Destination) -> io::Result<Self> {
        let sink = Sink::open(destination)?;
        let (lines, receiver) = mpsc::unbounded_channel();
        let (tasks, lost) = (Tasks::new(), Arc::<AtomicU64>::default());
        tasks.spawn("audit", write(sink, receiver, Arc::clone(&lost)));
        Ok(Self { lines, room: Arc::new(Semaphore::new(WAITING)), lost, _tasks: tasks })
    }

    /// Logs a line, for which there soon is room.
    pub(super) async fn send(&self, line: Vec<u8>) {
        let wanted = Arc::clone(&self.room).acquire_many_owned(share(&line));
        match tokio::time::timeout(PATIENCE, wanted).await {
            Ok(Ok(room)) => self.put(line, room),
            _ => self.lose(),
        }
    }

    /// Logs a line if there is room now.
    pub(super) fn try_send(&self, line: Vec<u8>) {
        match Arc::clone(&self.room).try_acquire_many_owned(share(&line)) {
            Ok(room) => self.put(line, room),
            Err(_) => self.lose(),
        }
    }

    fn put(&self, line: Vec<u8>, room: OwnedSemaphorePermit) {
        if self.lines.send(Message::Line(line, room)).is_err() {
            self.lose();
        }
    }

    fn lose(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.lines.send(Message::Flush(done)).is_ok() {
            let _ = written.await;
        }
    }
}

fn share(line: &[u8]) -> u32 {
    // A line that is larger than all there is takes all.
    u32::try_from(line.len().min(WAITING)).unwrap_or(u32::MAX)
}

async fn write(mut sink: Sink, mut receiver: mpsc::UnboundedReceiver<Message>, lost: Arc<AtomicU64>) {
    let mut messages = Vec::with_capacity(BATCH);
    while receiver.recv_many(&mut messages, BATCH).await > 0 {
        let (mut text, mut rooms, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
        for message in messages.drain(..) {
            match message {
                Message::Line(line, room) => {
                    if sink.is_full(text.len(), line.len()) {
                        sink.write(&std::mem::take(&mut text)).await;
                        sink.rotate().await;
                    }
                    text.extend_from_slice(&line);
                    rooms.push(room);
                }
                Message::Flush(done) => waiting.push(done),
            }
        }
        sink.write(&text).await;
        let lost = lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            tracing::error!(lost, "audit events were lost: they come faster than they can be written");
        }
        for done in waiting {
            // Whoever waited may have gone.
            let _ = done.send(());
        }
    }
}

struct Sink {
    file: tokio::fs::File,
    size: u64,
    /// Where the file is, if it can be put aside.
    at: Option<(PathBuf, Rotation)>,
}

impl Sink {
    fn open(destination: Destination) -> io::Result<Self> {
        let (path, rotation) = match destination {
            Destination::Stdout => {
                let file = std::fs::File::from(io::stdout().as_fd().try_clone_to_owned()?);
                return Ok(Self { file: file.into(), size: 0, at: None });
            }
            Destination::File(path, rotation) => (path, rotation),
        };
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let file = options().open(&path)?;
        let size = file.metadata()?.len();
        Ok(Self { file: file.into(), size, at: Some((path, rotation)) })
    }

    /// Whether a line of `more` bytes does not fit behind `pending` bytes that are not written yet.
    fn is_full(&self, pending: usize, more: usize) -> bool {
        let max = self.at.as_ref().map_or(0, |(_, rotation)| rotation.max_size);
        let there = self.size + pending as u64;
        max > 0 && there > 0 && there + more as u64 > max
    }

    async fn write(&mut self, text: &[u8]) {
        self.size += text.len() as u64;
        let written = self.file.write_all(text).await;
        if let Err(error) = written.and(self.file.flush().await) {
            tracing::error!(%error, "audit events were lost: the log cannot be written");
        }
    }

    async fn rotate(&mut self) {
        // If it fails, it is tried again when the file has grown as much again.
        self.size = 0;
        let Some((path, rotation)) = &self.at else { return };
        let rotated = async {
            put_aside(path, rotation.max_backups).await?;
            tokio::fs::OpenOptions::from(options()).open(path).await
        };
        match rotated.await {
            Ok(file) => self.file = file,
            Err(error) => tracing::error!(%error, path = %path.display(), "the audit log cannot be rotated"),
        }
    }
}

/// Others have no business with it.
fn options() -> std::fs::OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true).mode(0o600);
    options
}

fn numbered(path: &Path, number: usize) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

/// Each file becomes the one that is older by one.
async fn put_aside(path: &Path, max_backups: usize) -> io::Result<()> {
    let mut count = 0;
    while tokio::fs::try_exists(numbered(path, count + 1)).await? {
        count += 1;
    }
    if max_backups > 0 {
        while count >= max_backups {
            tokio::fs::remove_file(numbered(path, count)).await?;
            count -= 1;
        }
    }
    for number in (1..=count).rev() {
        tokio::fs::rename(numbered(path, number), numbered(path, number + 1)).await?;
    }
    tokio::fs::rename(path, numbered(path, 1)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_file_is_put_aside_and_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("logs/audit.log");
        let rotation = Rotation { max_size: 20, max_backups: 2 };
        let log = Log::open(Destination::File(path.clone(), rotation)).unwrap();
        for number in 0..9 {
            log.send(format!("line {number}..\n").into_bytes()).await;
        }
        // Larger than a file may be: it has one of its own.
        log.send(vec![b'x'; 30]).await;
        log.flush().await;
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        assert_eq!(read(&path), "x".repeat(30));
        assert_eq!(read(&numbered(&path, 1)), "line 8..\n");
        assert_eq!(read(&numbered(&path, 2)), "line 6..\nline 7..\n");
        assert!(!numbered(&path, 3).exists());
        // Another process goes on where this one ended.
        drop(log);
        let log = Log::open(Destination::File(path.clone(), Rotation::default())).unwrap();
        log.send(b"more".to_vec()).await;
        log.flush().await;
        assert_eq!(read(&path), format!("{}more", "x".repeat(30)));
    }
}
