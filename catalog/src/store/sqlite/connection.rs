//! Connections: one that writes, in groups, and a few that read.
//!
//! Writes that come while a commit is at the disk form the next commit: many callers, one sync. There is no thread that
//! waits for them: whoever brings the first write starts a blocking task that works until nothing is left.

use super::super::{Result, StoreError};
use rusqlite::Connection;
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Semaphore, oneshot};

/// Writes in one commit, at the most: bounds how long the first waits for the last.
const LARGEST_GROUP: usize = 256;
/// Writes that wait, at the most; more wait outside.
const LONGEST_QUEUE: usize = 4096;

/// Done inside the transaction; what it leaves is called after the commit, with the commit's failure if it failed.
type Write = Box<dyn FnOnce(&Connection) -> Answer + Send>;
type Answer = Box<dyn FnOnce(Option<&StoreError>) + Send>;

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Write>,
    /// A task is at work, or about to be.
    working: bool,
}

struct Inner {
    queue: Mutex<Queue>,
    connection: Mutex<Connection>,
    commits: AtomicU64,
}

/// The connection that writes.
#[derive(Clone)]
pub(super) struct Writer {
    inner: Arc<Inner>,
    places: Arc<Semaphore>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Writer {
    pub(super) fn new(connection: Connection) -> Self {
        let inner = Inner { queue: Mutex::default(), connection: Mutex::new(connection), commits: AtomicU64::new(0) };
        Self { inner: Arc::new(inner), places: Arc::new(Semaphore::new(LONGEST_QUEUE)) }
    }

    /// Does `write` in a transaction that others may share; returns once that is durable. A write that fails leaves no
    /// trace and does not harm the others.
    pub(super) async fn run<T, F>(&self, write: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let _place = self.places.acquire().await.map_err(unavailable)?;
        let (answer, answered) = oneshot::channel();
        let write: Write = Box::new(move |connection| {
            let outcome = in_savepoint(connection, write);
            Box::new(move |failure| {
                // Nobody waits any more: the write was done all the same.
                let _ = answer.send(failure.map_or(outcome, |failure| Err(failure.clone())));
            })
        });
        self.push(write);
        answered.await.map_err(unavailable)?
    }

    fn push(&self, write: Write) {
        let mut queue = lock(&self.inner.queue);
        queue.waiting.push_back(write);
        if !queue.working {
            queue.working = true;
            let inner = Arc::clone(&self.inner);
            tokio::task::spawn_blocking(move || inner.work());
        }
    }

    /// Commits so far.
    #[cfg(test)]
    pub(super) fn commits(&self) -> u64 {
        self.inner.commits.load(Ordering::Relaxed)
    }
}

impl Inner {
    fn work(&self) {
        let connection = lock(&self.connection);
        while let Some(group) = self.next_group() {
            // A panic is a bug of ours; callers hear that their answer never came, the rest goes on.
            if catch_unwind(AssertUnwindSafe(|| self.commit(&connection, group))).is_err() {
                tracing::error!("a write to the catalog panicked");
                let _ = connection.execute_batch("ROLLBACK");
            }
        }
    }

    fn next_group(&self) -> Option<Vec<Write>> {
        let mut queue = lock(&self.queue);
        if queue.waiting.is_empty() {
            queue.working = false;
            return None;
        }
        let count = queue.waiting.len().min(LARGEST_GROUP);
        Some(queue.waiting.drain(..count).collect())
    }

    fn commit(&self, connection: &Connection, group: Vec<Write>) {
        // A failed begin shows in every write and in the commit.
        let begun = connection.execute_batch("BEGIN IMMEDIATE");
        let answers: Vec<Answer> = group.into_iter().map(|write| write(connection)).collect();
        let failure = begun.and_then(|()| connection.execute_batch("COMMIT")).err().map(StoreError::from);
        if let Some(error) = &failure {
            tracing::error!(error = %error, "the catalog could not commit");
            let _ = connection.execute_batch("ROLLBACK");
        }
        self.commits.fetch_add(1, Ordering::Relaxed);
        for answer in answers {
            answer(failure.as_ref());
        }
    }
}

fn in_savepoint<T>(connection: &Connection, write: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
    if connection.is_autocommit() {
        return Err(unavailable("no transaction could be begun"));
    }
    connection.prepare_cached("SAVEPOINT one")?.execute([])?;
    let outcome = write(connection);
    // A full disk ends the whole transaction; then nothing is left to roll back, and the commit fails for the others.
    if outcome.is_err() && !connection.is_autocommit() {
        connection.prepare_cached("ROLLBACK TO one")?.execute([])?;
    }
    if !connection.is_autocommit() {
        connection.prepare_cached("RELEASE one")?.execute([])?;
    }
    outcome
}

/// Connections that read.
#[derive(Clone)]
pub(super) struct Readers {
    path: PathBuf,
    idle: Arc<Mutex<Vec<Connection>>>,
    places: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn new(path: &Path, count: usize) -> Self {
        Self { path: path.to_owned(), idle: Arc::default(), places: Arc::new(Semaphore::new(count)) }
    }

    /// Reads in one snapshot, which has everything that was durable when this was called.
    pub(super) async fn run<T, F>(&self, read: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(unavailable)?;
        let readers = self.clone();
        let task = tokio::task::spawn_blocking(move || {
            let _place = place;
            let idle = lock(&readers.idle).pop();
            let connection = idle.map_or_else(|| open_reader(&readers.path), Ok)?;
            let outcome = in_snapshot(&connection, read);
            lock(&readers.idle).push(connection);
            outcome
        });
        task.await.map_err(unavailable)?
    }
}

fn open_reader(path: &Path) -> Result<Connection> {
    let connection = super::schema::connect(path)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

fn in_snapshot<T>(connection: &Connection, read: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
    let snapshot = connection.unchecked_transaction()?;
    let outcome = read(&snapshot);
    snapshot.finish()?;
    outcome
}

pub(super) fn unavailable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::Unavailable(Arc::from(error.into()))
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{DatabaseCorrupt, DiskFull, NotADatabase};
        match error.sqlite_error_code() {
            Some(DiskFull) => Self::Full,
            Some(DatabaseCorrupt | NotADatabase) => Self::Corrupt(error.to_string()),
            _ => unavailable(error),
        }
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readers").field("path", &self.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::join_all;

    fn writer(folder: &tempfile::TempDir) -> Writer {
        let connection = super::super::schema::connect(&folder.path().join("x.db")).unwrap();
        connection.execute_batch("CREATE TABLE t (n INTEGER PRIMARY KEY)").unwrap();
        Writer::new(connection)
    }

    async fn insert(writer: &Writer, n: i64) -> Result<usize> {
        writer.run(move |c| Ok(c.execute("INSERT INTO t VALUES (?)", [n])?)).await
    }

    #[tokio::test]
    async fn writes_that_wait_share_a_commit() {
        let folder = tempfile::tempdir().unwrap();
        let writer = writer(&folder);
        let (entered, started) = oneshot::channel();
        let (go, gate) = std::sync::mpsc::channel::<()>();
        let first = {
            let writer = writer.clone();
            tokio::spawn(async move {
                writer
                    .run(move |_| {
                        let _ = entered.send(());
                        gate.recv().map_err(unavailable)
                    })
                    .await
            })
        };
        started.await.unwrap();
        let queued = join_all((0..100).map(|n| insert(&writer, n)));
        let release = async move { go.send(()).unwrap() };
        let (outcomes, ()) = futures::join!(queued, release);
        assert!(outcomes.into_iter().all(|o| o.is_ok()));
        first.await.unwrap().unwrap();
        assert_eq!(writer.commits(), 2);
    }

    #[tokio::test]
    async fn a_failed_write_does_not_harm_its_neighbours() {
        let folder = tempfile::tempdir().unwrap();
        let writer = writer(&folder);
        let outcomes = join_all([1, 2, 1, 3].map(|n| insert(&writer, n))).await;
        assert_eq!(outcomes.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, true, false, true]);
        let readers = Readers::new(&folder.path().join("x.db"), 1);
        let count: i64 = readers.run(|c| Ok(c.query_row("SELECT COUNT(*) FROM t", [], |r| r.get(0))?)).await.unwrap();
        assert_eq!(count, 3);
    }

    #[tokio::test]
    async fn a_full_disk_is_said_and_survived() {
        let folder = tempfile::tempdir().unwrap();
        let writer = writer(&folder);
        let fill = |bytes: i64| {
            let sql = "INSERT INTO big SELECT zeroblob(?)";
            writer.run(move |c| Ok(c.execute(sql, [bytes])?))
        };
        let limit = |pages: u32| writer.run(move |c| Ok(c.pragma_update(None, "max_page_count", pages)?));
        writer.run(|c| Ok(c.execute_batch("CREATE TABLE big (b BLOB)")?)).await.unwrap();
        limit(20).await.unwrap();
        assert!(matches!(fill(1 << 20).await, Err(StoreError::Full)));
        let outcomes = futures::join!(insert(&writer, 1), fill(1 << 20), insert(&writer, 2));
        assert!(matches!(outcomes.1, Err(StoreError::Full)));
        limit(10_000).await.unwrap();
        assert!(fill(1 << 20).await.is_ok(), "it goes on when there is room");
        for (n, outcome) in [(1, outcomes.0), (2, outcomes.2)] {
            assert_eq!(insert(&writer, n).await.is_err(), outcome.is_ok(), "what was said is so");
        }
    }

    #[tokio::test]
    async fn a_panic_stops_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let writer = writer(&folder);
        let broken = writer.run(|_| -> Result<()> { panic!("on purpose") });
        assert!(matches!(broken.await, Err(StoreError::Unavailable(_))));
        assert!(insert(&writer, 1).await.is_ok());
    }
}
