//! A whole mesh of this test's own: real servers, and processes that can be killed, frozen and started again.

use crate::history::Book;
use crate::layout::{Layout, Role};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use vidstream_test_servers::{self as servers, Kind, PASSWORD, Ports, USER, disk, wait_until_stopped};
use vidstream_tests::server::{Server, Starting, signal};

/// Short, so that what takes a lease takes seconds.
pub const LEASE: Duration = Duration::from_secs(6);
/// Also short.
pub const WRITE_DEADLINE: Duration = Duration::from_secs(2);
/// How much older garbage is.
pub const GARBAGE_MARGIN: Duration = Duration::from_secs(1);
/// More than anything takes, on a machine that is busy.
pub const PATIENCE: Duration = Duration::from_mins(3);

/// The servers behind a mesh.
pub struct Backends {
    pub mongo: servers::Server,
    pub minio: servers::Server,
    pub rabbit: servers::Server,
    pub redis: servers::Server,
}

impl Backends {
    /// Servers that nobody else has.
    pub async fn own() -> Arc<Self> {
        Self::begun(None).await
    }

    /// The same, one of them on a disk of its own.
    pub async fn with_own_disk(kind: Kind) -> Arc<Self> {
        Self::begun(Some(kind)).await
    }

    async fn begun(on_own_disk: Option<Kind>) -> Arc<Self> {
        let start = async |kind| {
            let apart = on_own_disk == Some(kind);
            if apart { servers::Server::start_on_own_disk(kind).await } else { servers::Server::start(kind).await }
        };
        let (mongo, minio, rabbit, redis) =
            tokio::join!(start(Kind::MongoDb), start(Kind::Minio), start(Kind::RabbitMq), start(Kind::Redis));
        minio.make_bucket("videos").await;
        Arc::new(Self { mongo, minio, rabbit, redis })
    }

    /// Servers that are shared with other tests of this moment which do them no harm.
    pub async fn shared() -> Arc<Self> {
        static SHARED: tokio::sync::Mutex<Weak<Backends>> = tokio::sync::Mutex::const_new(Weak::new());
        let mut shared = SHARED.lock().await;
        if let Some(there) = shared.upgrade() {
            return there;
        }
        let new = Self::own().await;
        *shared = Arc::downgrade(&new);
        new
    }
}

/// Mounts a disk of memory where the process has its data, as that process alone sees it. Root in a user namespace suffices.
const ON_OWN_DISK: [&str; 7] = [
    "unshare",
    "--user",
    "--map-root-user",
    "--mount",
    "sh",
    "-ec",
    "mkdir -p \"$2\" && mount -t tmpfs -o size=1g tmpfs \"$2\" && exec \"$0\" \"$@\"",
];

/// Where a mesh reaches what it stands on, with credentials.
pub struct Addresses {
    pub catalog: String,
    pub queue: String,
    pub events: String,
}

impl Addresses {
    /// The servers' own.
    pub fn of(backends: &Backends) -> Self {
        Self { catalog: backends.mongo.url(), queue: backends.rabbit.url(), events: backends.redis.url() }
    }
}

/// Addresses of the gateways that run, as clients know them.
#[derive(Clone, Default)]
pub struct Gateways(Arc<Mutex<Vec<Option<String>>>>);

impl Gateways {
    fn lock(&self) -> MutexGuard<'_, Vec<Option<String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those there are now.
    pub fn all(&self) -> Vec<String> {
        self.lock().iter().flatten().cloned().collect()
    }

    /// The one that `turn` comes to.
    pub fn one(&self, turn: usize) -> Option<String> {
        let all = self.all();
        (!all.is_empty()).then(|| all[turn % all.len()].clone())
    }
}

struct Process {
    role: Role,
    ports: Ports,
    server: Option<Server>,
    /// Of its former lives.
    logs: String,
}

impl Process {
    /// Where other services ask it.
    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.first())
    }
}

/// A mesh.
pub struct Mesh {
    /// None where it keeps everything on a disk of its own.
    stand: Option<(Arc<Backends>, Addresses)>,
    pub gateways: Gateways,
    /// Kills are noted there.
    pub book: Book,
    /// What sets it apart from others on the same servers.
    name: String,
    ffmpeg: PathBuf,
    processes: Vec<Process>,
    folder: TempDir,
}

impl Mesh {
    /// A mesh on `backends`.
    pub fn start(layout: Layout, backends: Arc<Backends>) -> Self {
        let addresses = Addresses::of(&backends);
        Self::through(layout, backends, addresses)
    }

    /// The same, which reaches them by other addresses.
    pub fn through(layout: Layout, backends: Arc<Backends>, addresses: Addresses) -> Self {
        Self::of(layout.roles(), Some((backends, addresses)))
    }

    /// One process that keeps everything on a disk which nobody else sees, and which can be filled.
    pub fn on_own_disk() -> Self {
        Self::of(&[Role::All], None)
    }

    fn of(roles: &[Role], stand: Option<(Arc<Backends>, Addresses)>) -> Self {
        let folder = TempDir::with_prefix("vidstream-faults-").expect("a temporary folder");
        let name = folder.path().file_name().expect("a name").to_string_lossy().replace(['.', '_'], "").to_lowercase();
        let process = |role: &Role| Process { role: *role, ports: Ports::take(), server: None, logs: String::new() };
        let processes: Vec<_> = roles.iter().map(process).collect();
        let gateways = Gateways::default();
        *gateways.lock() = vec![None; processes.len()];
        let ffmpeg = slow_ffmpeg(folder.path());
        let mut mesh = Self { stand, gateways, book: Book::default(), name, ffmpeg, processes, folder };
        for number in 0..mesh.processes.len() {
            mesh.revive(number, None);
        }
        mesh
    }

    /// The processes that do what `is_it` asks for.
    pub fn all(&self, is_it: impl Fn(Role) -> bool) -> Vec<usize> {
        (0..self.processes.len()).filter(|number| is_it(self.processes[*number].role)).collect()
    }

    /// Where those that do what `is_it` asks for are asked by other services.
    fn addresses(&self, is_it: impl Fn(Role) -> bool) -> String {
        let addresses: Vec<_> = self.all(is_it).into_iter().map(|number| self.processes[number].address()).collect();
        addresses.join(",")
    }

    fn flags(&self, process: &Process) -> Vec<String> {
        let seconds = |time: Duration| format!("{}s", time.as_secs());
        let flags = [
            ("--lease", seconds(LEASE)),
            ("--write-deadline", seconds(WRITE_DEADLINE)),
            ("--garbage-margin", seconds(GARBAGE_MARGIN)),
            ("--ffmpeg", self.ffmpeg.to_string_lossy().into_owned()),
            ("--roles", process.role.name().to_owned()),
        ];
        let listener = ("--listen", "127.0.0.1:0".to_owned());
        let behind = ("--mesh-listen", process.address());
        let to_catalog = ("--to-catalog", self.addresses(Role::is_catalog));
        let to_transcoder = ("--to-transcoder", self.addresses(Role::is_transcoder));
        let own = match process.role {
            Role::All => vec![listener, behind],
            Role::Catalog => vec![behind],
            Role::Transcoder => vec![behind, to_catalog],
            Role::Gateway => vec![listener, to_catalog, to_transcoder],
        };
        flags
            .into_iter()
            .chain(own)
            .chain(self.stands_on())
            .flat_map(|(flag, value)| [flag.to_owned(), value])
            .collect()
    }

    /// Where it keeps what.
    fn stands_on(&self) -> Vec<(&'static str, String)> {
        let Some((backends, Addresses { catalog, queue, events })) = &self.stand else { return Vec::new() };
        let (name, s3) = (&self.name, backends.minio.url());
        vec![
            ("--catalog", format!("{catalog}/{name}")),
            ("--objects", format!("s3://{USER}:{PASSWORD}@videos/{name}?region=us-east-1&endpoint={s3}")),
            ("--queue", format!("{queue}?prefix={name}")),
            ("--events", format!("{events}?prefix={name}")),
        ]
    }

    /// Starts a process that does not run; with a fail point, it kills itself there.
    pub fn revive(&mut self, number: usize, point: Option<&str>) {
        let process = &self.processes[number];
        assert!(process.server.is_none(), "it runs");
        let flags = self.flags(process);
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        let point = point.map(|point| format!("{}={point}", vidstream_points::VARIABLE));
        let server = match &point {
            None if self.stand.is_none() => Starting::within(&ON_OWN_DISK, &flags),
            None => Starting::of(&flags),
            Some(point) => Starting::within(&["env", point], &flags),
        };
        let server = server.ready();
        if process.role.is_gateway() {
            self.gateways.lock()[number] = Some(server.address.clone());
        }
        self.processes[number].server = Some(server);
    }

    /// Ends a process as a power cut would.
    pub fn kill(&mut self, number: usize) {
        self.gateways.lock()[number] = None;
        let process = &mut self.processes[number];
        let server = process.server.take().expect("it runs");
        signal(server.id(), "KILL");
        if process.role.is_catalog() {
            self.book.open().kills.push(Instant::now());
        }
        process.logs += &server.log();
        drop(server);
    }

    /// Stops a process in its tracks.
    pub fn freeze(&self, number: usize) {
        let process = self.server(number).id();
        signal(process, "STOP");
        wait_until_stopped(process);
    }

    /// Lets it go on.
    pub fn thaw(&self, number: usize) {
        signal(self.server(number).id(), "CONT");
    }

    fn server(&self, number: usize) -> &Server {
        self.processes[number].server.as_ref().expect("it runs")
    }

    /// Whether a process killed itself at its fail point.
    pub fn has_ended(&mut self, number: usize) -> bool {
        let server = self.processes[number].server.as_mut().expect("it runs");
        server.wait(Duration::ZERO).is_some()
    }

    /// Takes note that a process killed itself.
    pub fn bury(&mut self, number: usize) {
        self.gateways.lock()[number] = None;
        let process = &mut self.processes[number];
        let mut server = process.server.take().expect("it ran");
        let ended = server.wait(Duration::from_secs(5)).expect("it has ended");
        assert!(std::os::unix::process::ExitStatusExt::signal(&ended) == Some(9), "{ended}: {}", server.log());
        process.logs += &server.log();
        if process.role.is_catalog() {
            self.book.open().kills.push(Instant::now());
        }
    }

    /// Asks all processes to stop, which they must do in order, and leave nothing behind.
    pub async fn stop(mut self) {
        // Whoever is asked by others is the last to go.
        for process in self.processes.iter_mut().rev() {
            let server = process.server.take().expect("it runs");
            let stopped = tokio::task::spawn_blocking(move || server.stop()).await.expect("it ends");
            assert!(stopped.success(), "{stopped}");
        }
        assert_eq!(self.orphans().await, [""; 0]);
    }

    /// The address of a catalog's listener.
    pub fn catalog(&self) -> String {
        let number = self.all(Role::is_catalog)[0];
        format!("http://{}", self.processes[number].address())
    }

    /// What all processes logged, in all their lives.
    pub fn logs(&self) -> String {
        let of =
            |process: &Process| process.logs.clone() + &process.server.as_ref().map(Server::log).unwrap_or_default();
        self.processes.iter().map(of).collect()
    }

    /// The servers behind it.
    pub fn backends(&self) -> &Arc<Backends> {
        &self.stand.as_ref().expect("it stands on servers").0
    }

    /// Leaves no room on the disk of a mesh that has one of its own.
    pub fn fill_disk(&self) {
        let server = self.server(0);
        disk::fill(server.id(), &server.data());
    }

    /// Leaves room there again.
    pub fn empty_disk(&self) {
        let server = self.server(0);
        disk::empty(server.id(), &server.data());
    }

    /// Names of all its objects, by the files that they are kept in.
    pub fn objects(&self) -> Vec<String> {
        let (root, is_object): (_, fn(&Path) -> bool) = match &self.stand {
            // A folder each.
            Some((backends, _)) => {
                (backends.minio.data().join("data/videos").join(&self.name), |path| path.join("xl.meta").is_file())
            }
            None => (disk::seen(self.server(0).id(), &self.server(0).data()).join("objects"), Path::is_file),
        };
        assert!(root.is_dir(), "{} is where they are expected", root.display());
        let mut names = Vec::new();
        walk(&root.join("sources"), is_object, &mut |path| {
            names.push(path.strip_prefix(&root).expect("below it").to_string_lossy().into_owned());
        });
        names.sort();
        names
    }

    /// ffmpegs of this mesh: their ids, their parents', and their command lines.
    pub fn ffmpegs(&self) -> Vec<(u32, u32, String)> {
        let needle = self.folder.path().to_string_lossy();
        let entries = Path::new("/proc").read_dir().expect("there is /proc");
        let found = entries.flatten().filter_map(|entry| {
            let id: u32 = entry.file_name().to_str()?.parse().ok()?;
            // What ended meanwhile is not there.
            let line = std::fs::read(entry.path().join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            let (name, rest) = stat.rsplit_once(") ")?;
            let is_server = name.ends_with("(vidstream");
            let parent = rest.split(' ').nth(1)?.parse().ok()?;
            (line.contains(&*needle) && !is_server).then_some((id, parent, line))
        });
        found.collect()
    }

    /// Whether a process has an ffmpeg at work.
    pub fn works(&self, number: usize) -> bool {
        let Some(server) = &self.processes[number].server else { return false };
        self.ffmpegs().into_iter().any(|(_, parent, _)| parent == server.id())
    }

    /// Waits for a moment in which a process has an ffmpeg at work; the process.
    pub async fn at_work(&self) -> usize {
        let begun = Instant::now();
        loop {
            if let Some(number) = self.all(Role::is_transcoder).into_iter().find(|number| self.works(*number)) {
                return number;
            }
            assert!(begun.elapsed() < PATIENCE, "no job was ever at work");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// ffmpegs whose server does not run. They are given a moment to end.
    pub async fn orphans(&self) -> Vec<String> {
        let begun = Instant::now();
        loop {
            let servers: Vec<_> = self.processes.iter().flat_map(|process| &process.server).map(Server::id).collect();
            let orphans = self.ffmpegs().into_iter().filter(|(_, parent, _)| !servers.contains(parent));
            let orphans: Vec<_> = orphans.map(|(_, _, line)| line).collect();
            if orphans.is_empty() || begun.elapsed() > Duration::from_secs(5) {
                return orphans;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// ffmpeg that takes a moment longer, so that a job can be met in its midst, under a name of the mesh's own.
fn slow_ffmpeg(folder: &Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let path = folder.join("ffmpeg");
    let found = std::env::var_os("PATH").unwrap_or_default();
    let mut found = std::env::split_paths(&found).map(|folder| folder.join("ffmpeg"));
    let ffmpeg = found.find(|path| path.is_file()).expect("ffmpeg is installed");
    let real = folder.join("real-ffmpeg");
    std::os::unix::fs::symlink(ffmpeg, &real).expect("a link");
    let script = format!("#!/bin/sh\n/bin/sleep 0.3\nexec {} \"$@\"\n", real.display());
    std::fs::write(&path, script).expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("allowed");
    path
}

/// Calls `object` with each path that is one.
fn walk(folder: &Path, is_object: fn(&Path) -> bool, object: &mut impl FnMut(&Path)) {
    if is_object(folder) {
        return object(folder);
    }
    let Ok(entries) = folder.read_dir() else { return };
    // What is being written has no name yet.
    for entry in entries.flatten().filter(|entry| entry.file_name() != ".scratch") {
        walk(&entry.path(), is_object, object);
    }
}
