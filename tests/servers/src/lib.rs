//! Real servers of a test's own: MongoDB's protocol, S3, RabbitMQ, Redis.
//!
//! `scripts/backends` installs what is missing and starts them; nothing here is a mock. A server has its data in a temporary
//! folder and dies with the test that started it, also when that is killed. What goes wrong panics, in words and with the server's
//! last lines: these are tests.
//!
//! ```no_run
//! # async fn test() {
//! use vidstream_test_servers::{Kind, Server};
//! let redis = Server::start(Kind::Redis).await;
//! // … talk to redis.url() …
//! redis.kill();
//! redis.restart().await;
//! # }
//! ```

mod authority;
pub mod disk;
mod overheard;
mod ports;
mod process;
mod relay;
mod script;

pub use authority::{Authority, Signed};
pub use overheard::{Asked, Overheard};
pub use ports::Ports;
use process::Process;
pub use process::wait_until_stopped;
pub use relay::Relay;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The name that servers know besides none (MongoDB) or only a password (Redis): the access key, the user.
pub const USER: &str = "vidstream";
/// Its password or secret key.
pub const PASSWORD: &str = "vidstream-test";

/// RabbitMQ needs 4 to 13 s on two cores that do nothing else; tests do not come alone.
const START: Duration = Duration::from_mins(2);
/// RabbitMQ and Java take a second or two.
const STOP: Duration = Duration::from_secs(30);

/// What a server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// mongo-java-server: MongoDB's protocol as of 6.0, not all of it (`tests/servers/mongodb`).
    MongoDb,
    /// `MinIO`, S3.
    Minio,
    /// versitygw on a folder, S3: the second opinion.
    VersityGw,
    /// `RabbitMQ`, AMQP 0-9-1.
    RabbitMq,
    /// Redis, each write synced before it is answered.
    Redis,
}

impl Kind {
    /// As `scripts/backends` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::MongoDb => "mongodb",
            Self::Minio => "minio",
            Self::VersityGw => "versitygw",
            Self::RabbitMq => "rabbitmq",
            Self::Redis => "redis",
        }
    }
}

/// A running server, or one that was ended and can be started again on its data. Dropping the last handle kills it and removes the data.
#[derive(Clone)]
pub struct Server(Arc<Inner>);

struct Inner {
    kind: Kind,
    ports: Ports,
    folder: TempDir,
    /// Its data is in memory, on a disk of its own that can be filled.
    own_disk: bool,
    process: Mutex<Option<Process>>,
}

impl Server {
    /// A new server without data that answers. Installs first what it needs: some minutes for the first S3 server on a machine.
    pub async fn start(kind: Kind) -> Self {
        Self::begun(kind, false).await
    }

    /// The same on a disk that nobody else sees, which can be [filled](Self::fill_disk). Its data goes with its process.
    pub async fn start_on_own_disk(kind: Kind) -> Self {
        Self::begun(kind, true).await
    }

    async fn begun(kind: Kind, own_disk: bool) -> Self {
        blocking(move || {
            script::set_up(kind);
            let folder = TempDir::with_prefix("vidstream-server-").expect("a temporary folder can be made");
            let server = Inner { kind, ports: Ports::take(), folder, own_disk, process: Mutex::new(None) };
            server.begin();
            Self(Arc::new(server))
        })
        .await
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// Where it listens, on 127.0.0.1. Stays the same over restarts.
    pub fn port(&self) -> u16 {
        self.0.ports.first()
    }

    /// Its address with credentials (`mongodb:`, `amqp:`, `redis:`), or the endpoint (S3, `http:`; [`USER`] and [`PASSWORD`] are the keys).
    pub fn url(&self) -> String {
        let port = self.port();
        match self.0.kind {
            Kind::MongoDb => format!("mongodb://127.0.0.1:{port}"),
            Kind::Minio | Kind::VersityGw => format!("http://127.0.0.1:{port}"),
            Kind::RabbitMq => format!("amqp://{USER}:{PASSWORD}@127.0.0.1:{port}/%2f"),
            Kind::Redis => format!("redis://:{PASSWORD}@127.0.0.1:{port}"),
        }
    }

    /// Its process.
    ///
    /// # Panics
    /// If it was ended.
    pub fn id(&self) -> u32 {
        self.0.process().as_ref().expect("the server runs").id()
    }

    /// The folder of its data and its log.
    pub fn folder(&self) -> PathBuf {
        self.0.folder.path().to_owned()
    }

    /// The folder of its data, as it is seen from here.
    ///
    /// # Panics
    /// If it has a disk of its own and was ended.
    pub fn data(&self) -> PathBuf {
        if self.0.own_disk { disk::seen(self.id(), &self.0.data()) } else { self.0.data() }
    }

    /// Leaves no room on its own disk.
    ///
    /// # Panics
    /// If it has none, or was ended.
    pub fn fill_disk(&self) {
        assert!(self.0.own_disk, "it has no disk of its own");
        disk::fill(self.id(), &self.0.data());
    }

    /// Leaves room on its own disk again.
    ///
    /// # Panics
    /// If it has none, or was ended.
    pub fn empty_disk(&self) {
        assert!(self.0.own_disk, "it has no disk of its own");
        disk::empty(self.id(), &self.0.data());
    }

    /// The last lines that it logged.
    pub fn log(&self) -> String {
        process::last_lines(&self.0.log())
    }

    /// Asks it by its protocol, with the credentials; the reason if it does not answer within 5 s.
    pub async fn answers(&self) -> Result<(), String> {
        let server = Arc::clone(&self.0);
        blocking(move || script::ready(server.kind, server.ports.first())).await
    }

    /// Makes a bucket on an S3 server. One that is there is fine.
    pub async fn make_bucket(&self, name: &str) {
        let (port, name) = (self.port(), name.to_owned());
        blocking(move || script::make_bucket(port, &name)).await;
    }

    /// Ends it as a power cut of the process would (SIGKILL), and waits until it and its ports are gone. Fine if it has ended.
    pub fn kill(&self) {
        self.0.kill();
    }

    /// Ends it as its administrator would (SIGTERM) and waits.
    ///
    /// # Panics
    /// If it was ended before, or does not end within 30 s.
    pub async fn stop(&self) {
        let server = Arc::clone(&self.0);
        blocking(move || {
            let process = server.process().take().expect("the server runs");
            process.stop(STOP).unwrap_or_else(|reason| panic!("{} {reason}", server.kind.name()));
            server.ports.wait_free();
        })
        .await;
    }

    /// Starts it again on its data and port, killing it first if it runs, and waits until it answers.
    pub async fn restart(&self) {
        let server = Arc::clone(&self.0);
        blocking(move || {
            server.kill();
            server.begin();
        })
        .await;
    }

    /// Stops it in its tracks (SIGSTOP): connections stay open, nothing is answered.
    pub fn freeze(&self) {
        self.0.process().as_ref().expect("the server runs").freeze();
    }

    /// Lets it go on after [`freeze`](Self::freeze).
    pub fn thaw(&self) {
        self.0.process().as_ref().expect("the server runs").thaw();
    }

    /// Kills it and removes its data. [`restart`](Self::restart) then begins with nothing.
    pub fn wipe(&self) {
        self.0.kill();
        let data = self.0.data();
        std::fs::remove_dir_all(&data).unwrap_or_else(|error| panic!("{} can't be removed: {error}", data.display()));
    }
}

impl Inner {
    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        // A panic elsewhere leaves the process as it is, and it still has to be ended.
        self.process.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Starts it and waits until it answers.
    fn begin(&self) {
        let mut process = self.process();
        let mut command = script::run(self.kind, &self.data(), self.ports.first());
        if self.own_disk {
            command = disk::on_own_disk(&command, &self.data());
        }
        let started = process.insert(Process::start(command, &self.log()));
        let begun = Instant::now();
        let mut pause = Duration::from_millis(10);
        while let Err(reason) = script::ready(self.kind, self.ports.first()) {
            let ended = started.ended();
            assert!(
                ended.is_none() && begun.elapsed() < START,
                "{} on port {} did not start: {}\n{}",
                self.kind.name(),
                self.ports.first(),
                ended.map_or(reason, |status| format!("it ended with {status}")),
                process::last_lines(&self.log())
            );
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(200));
        }
    }

    fn kill(&self) {
        if let Some(process) = self.process().take() {
            process.kill();
            self.ports.wait_free();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "--- {} on port {} said last:\n{}",
                self.kind.name(),
                self.ports.first(),
                process::last_lines(&self.log())
            );
        }
        if let Some(process) = self.process().take() {
            process.kill();
        }
    }
}

/// Runs what waits on a thread that may.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    }
}
