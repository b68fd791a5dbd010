//! A round: people use a mesh, something breaks in their midst, and all that they began comes to its end.

use crate::clients::{Client, File};
use crate::layout::{Layout, Role};
use crate::look;
use crate::mesh::{Backends, Mesh, PATIENCE};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use vidstream_tests::clips;
use vidstream_tests::dice::Dice;

/// Bytes of what is no video: large enough to have a midst.
const NOISE: u64 = (7 << 20) + 12_345;

/// Of these, a single chunk.
const SMALL: usize = 200_000;

/// Between two things that a guest does.
const GUEST: Duration = Duration::from_millis(300);

/// A mesh and who uses it.
pub struct Day {
    pub mesh: Mesh,
    pub client: Client,
    /// A video that is there all the time, and its bytes.
    standing: (String, Bytes),
    /// Videos that are removed one by one.
    doomed: Vec<String>,
}

/// The seeds of this run: of as many rounds as `FAULTS_ROUNDS` says, or two; from `FAULTS_SEED` on, or by chance.
fn seeds(test: &str) -> Vec<u64> {
    let number =
        |name| std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}: a number")));
    let chance = || u64::from(nanoseconds());
    let first: u64 = number("FAULTS_SEED").unwrap_or_else(chance);
    let rounds = number("FAULTS_ROUNDS").unwrap_or(2);
    eprintln!("{test}: {rounds} rounds; FAULTS_SEED={first} begins with the same");
    (first..first + rounds).collect()
}

/// This run's rounds, each on the layout that its seed asks for; what was promised on a mesh is looked at after its last one.
pub async fn days(test: &str, begin: impl AsyncFn(Layout) -> Day, round: impl AsyncFn(&mut Day, u64)) {
    let seeds = seeds(test);
    for layout in Layout::ALL {
        let seeds: Vec<_> = seeds.iter().copied().filter(|seed| Layout::of(*seed) == layout).collect();
        if seeds.is_empty() {
            continue;
        }
        eprintln!("{test}: services {layout:?}, {} rounds", seeds.len());
        let mut day = begin(layout).await;
        for seed in seeds {
            round(&mut day, seed).await;
        }
        day.end().await;
    }
}

fn nanoseconds() -> u32 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    now.subsec_nanos() ^ std::process::id()
}

fn clip(name: &str) -> File {
    let data = std::fs::read(clips::clip(name)).expect("readable").into();
    File { name: name.to_owned(), data, plays: true }
}

fn noise(seed: u64) -> File {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let name = format!("noise-{seed}.bin");
    let data = std::fs::read(clips::noise(folder.path(), &name, NOISE)).expect("readable").into();
    File { name, data, plays: false }
}

impl Day {
    /// Begins on these servers.
    pub async fn begin(layout: Layout, backends: Arc<Backends>) -> Self {
        Self::on(Mesh::start(layout, backends)).await
    }

    /// Begins on this mesh.
    pub async fn on(mesh: Mesh) -> Self {
        let client = Client { gateways: mesh.gateways.clone(), book: mesh.book.clone() };
        let file = clip("first.mp4");
        let (standing, doomed) = tokio::join!(whole(&client, &file, 0), whole(&client, &file, 1));
        client.settled(&standing).await;
        client.settled(&doomed).await;
        Self { mesh, client, standing: (standing, file.data), doomed: vec![doomed] }
    }

    /// One round; `fault` breaks something while a large upload is under way at the first gateway, and mends it.
    pub async fn round(&mut self, seed: u64, fault: impl AsyncFnOnce(&mut Mesh, &mut Dice)) {
        eprintln!("round of seed {seed}");
        let mut dice = Dice(seed);
        let done = Arc::new(AtomicBool::new(false));
        let guests = self.guests(&done);
        let new = tokio::spawn(new_clip(self.client.clone(), dice.roll(1 << 30)));
        let gone = tokio::spawn(removal(self.client.clone(), self.doomed.remove(0), dice.roll(2) == 0));
        let noise = noise(seed);
        let upload = self.client.open(&noise, 0).await.expect("an upload");
        let (client, opened, order) = (self.client.clone(), upload.clone(), dice.roll(1 << 30));
        let large = tokio::spawn(async move {
            client.send_chunks(&opened, &noise, usize::MAX, 0, order).await;
            client.complete(&opened, &noise, 1).await;
        });
        let moment = dice.roll(NOISE * 2 / 3);
        while self.client.book.acknowledged(&upload.id) <= moment {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let begun = Instant::now();
        fault(&mut self.mesh, &mut dice).await;
        eprintln!("it was broken for {:?}", begun.elapsed());
        large.await.expect("a client");
        self.client.settled(&upload.video_id).await;
        done.store(true, Ordering::Relaxed);
        self.doomed.push(new.await.expect("a client"));
        gone.await.expect("a client");
        for guest in guests {
            guest.await.expect("a client");
        }
        assert_eq!(self.mesh.orphans().await, [""; 0]);
        eprintln!("the round took {:?} from then on", begun.elapsed());
    }

    /// Kills the first catalog at a fail point, whenever it comes there while people use it, and starts it again.
    pub async fn killed_at(&mut self, point: &str, seed: u64) {
        self.comes_to(point, seed, None).await;
    }

    /// The same, when a worker was killed that only this catalog can miss.
    pub async fn killed_after_worker_at(&mut self, point: &str, seed: u64) {
        let first = self.mesh.all(Role::is_catalog)[0];
        let other = self.mesh.all(Role::is_transcoder).into_iter().rfind(|worker| *worker != first);
        self.comes_to(point, seed, other).await;
    }

    async fn comes_to(&mut self, point: &str, seed: u64, mut doomed: Option<usize>) {
        let catalog = self.mesh.all(Role::is_catalog)[0];
        self.mesh.kill(catalog);
        self.mesh.revive(catalog, Some(point));
        let (begun, mut dead) = (Instant::now(), vec![catalog]);
        let mut people = self.people(point, seed);
        while !self.mesh.has_ended(catalog) {
            assert!(begun.elapsed() < PATIENCE, "nothing comes to {point}: is this server built with its fail points?");
            if doomed.is_some_and(|worker| self.mesh.works(worker)) {
                dead.extend(doomed.take());
                dead.extend(self.mesh.all(Role::is_catalog));
                dead.sort_unstable();
                dead.dedup();
                dead.iter().filter(|number| **number != catalog).for_each(|number| self.mesh.kill(*number));
            }
            if people.is_finished() {
                self.doomed.push(people.await.expect("a client"));
                people = self.people(point, seed);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.mesh.bury(catalog);
        for number in dead {
            self.mesh.revive(number, None);
        }
        self.doomed.push(people.await.expect("a client"));
        eprintln!("{point}: {:?}", begun.elapsed());
    }

    /// Somebody who does a bit of everything, at the first gateway if it answers; a video that can be removed.
    fn people(&mut self, title: &str, seed: u64) -> JoinHandle<String> {
        let (client, doomed, standing) = (self.client.clone(), self.doomed.remove(0), self.standing.0.clone());
        let title = format!("{title} {doomed}");
        tokio::spawn(async move {
            let others = async {
                client.watch(&standing, 0).await;
                client.rename(&standing, title, 0).await;
                client.remove(&doomed, true, 0).await;
            };
            tokio::join!(new_clip(client.clone(), seed), others, no_clip(&client, seed)).0
        })
    }

    /// Those who watch, play and rename the video that is always there, until it is done.
    fn guests(&self, done: &Arc<AtomicBool>) -> Vec<JoinHandle<()>> {
        let each = |what: usize| {
            let (client, done, (video, data)) = (self.client.clone(), Arc::clone(done), self.standing.clone());
            tokio::spawn(async move {
                for turn in what.. {
                    match what {
                        0 => client.watch(&video, turn).await,
                        1 => client.rename(&video, format!("title {turn}"), turn).await,
                        _ => client.play(&video, &data, turn).await,
                    }
                    if done.load(Ordering::Relaxed) {
                        return;
                    }
                    tokio::time::sleep(GUEST).await;
                }
            })
        };
        (0..3).map(each).collect()
    }

    /// The end: what was promised against what is there, then everything stops in order.
    pub async fn end(self) {
        look::compare(&self.mesh, &self.client).await;
        self.mesh.stop().await;
    }
}

/// A clip that is uploaded as a stream, beside one that somebody gives up in its midst.
pub async fn new_clip(client: Client, seed: u64) -> String {
    let file = clip("first.mp4");
    let half = async {
        if let Some(upload) = client.open(&file, 0).await {
            client.send_chunks(&upload, &file, 2, 0, seed).await;
        }
    };
    let (video, ()) = tokio::join!(whole(&client, &file, 0), half);
    client.settled(&video).await;
    video
}

/// What is no video, small enough to be complete before anybody has read it; somebody has it tried once more.
async fn no_clip(client: &Client, seed: u64) {
    let mut file = noise(seed);
    file.data.truncate(SMALL);
    let upload = client.open(&file, 0).await.expect("an upload");
    client.send_chunks(&upload, &file, usize::MAX, 0, seed).await;
    client.complete(&upload, &file, 0).await;
    client.settled(&upload.video_id).await;
    client.retry(&upload.video_id, 0).await;
    client.settled(&upload.video_id).await;
}

async fn removal(client: Client, video: String, for_good: bool) {
    tokio::time::sleep(Duration::from_secs(1)).await;
    client.remove(&video, for_good, 1).await;
}

/// Uploads all of a file as a stream.
async fn whole(client: &Client, file: &File, turn: usize) -> String {
    let upload = client.open(file, turn).await.expect("an upload");
    client.send_stream(&upload, file, turn, 1).await;
    client.complete(&upload, file, turn).await;
    upload.video_id
}
