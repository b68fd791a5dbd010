//! Two whole meshes in this process: nothing of one is seen in the other, and one outlives the other.

use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use vidstream_mesh::lifecycle::Lifecycle;
use vidstream_server::data_dir::DataDir;
use vidstream_server::settings::Settings;
use vidstream_server::wiring::{self, Mesh};
use vidstream_tests::clips;
use vidstream_tests::judges::{curl, playlists};
use vidstream_tests::vidctl::{Person, id};

/// A mesh as the binary runs it, without its signals.
struct Home {
    life: Lifecycle,
    mesh: Mesh,
    _lock: DataDir,
}

impl Home {
    fn open(runtime: &Runtime, folder: &Path) -> Self {
        let flags = [("listen", "127.0.0.1:0"), ("data-dir", folder.to_str().expect("text"))];
        let flags = flags.map(|(name, value)| (name, value.to_owned()));
        let settings = Settings::resolve(None, [], flags.to_vec()).expect("settings that work together");
        let lock = DataDir::open(&settings.data_dir).expect("a folder of its own");
        let life = Lifecycle::new();
        let mesh = runtime.block_on(Box::pin(wiring::start(&settings, &life))).expect("it starts");
        Self { life, mesh, _lock: lock }
    }

    fn person(&self) -> Person {
        Person::at(&self.mesh.address)
    }

    /// Where `video` is here.
    fn at(&self, video: &str) -> String {
        format!("{}/videos/{video}", self.mesh.address)
    }

    /// Stops it as the binary does; whether all of it ended by itself.
    fn stop(self, runtime: &Runtime) -> bool {
        runtime.block_on(async {
            self.mesh.say_not_serving().await;
            self.life.stop(Duration::from_secs(10)).await
        })
    }
}

/// Ids of all videos that `person` sees.
fn listed(person: &Person) -> Vec<String> {
    person.json(&["list"]).iter().map(|video| id(video).to_owned()).collect()
}

#[test]
fn two_meshes_share_a_process_and_nothing_else() {
    let runtime = Runtime::new().expect("a runtime");
    let folders = [(); 2].map(|()| TempDir::new().expect("a temporary folder"));
    let [one, two] = [0, 1].map(|i| Home::open(&runtime, folders[i].path()));
    assert!(one.mesh.address != two.mesh.address);
    assert!(DataDir::open(folders[0].path()).is_err(), "a folder is one mesh's");

    // The same file in both at once: each has a video of its own, and all of it is made.
    let file = clips::clip("last.mp4");
    let upload = |home: &Home| id(&home.person().upload(&file, "--wait=all")).to_owned();
    let (first, second) = std::thread::scope(|scope| {
        let first = scope.spawn(|| upload(&one));
        let second = upload(&two);
        (first.join().expect("uploaded"), second)
    });
    assert_eq!((listed(&one.person()), listed(&two.person())), (vec![first.clone()], vec![second.clone()]));
    playlists::check(&one.at(&first));
    playlists::check(&two.at(&second));
    assert_eq!(curl::get(&two.at(&format!("{first}/master.m3u8"))).status, 404);

    // One goes: its port and its folder are free, the other one takes, makes and shows videos as before.
    let address = one.mesh.address.clone();
    assert!(one.stop(&runtime), "all of it ends by itself");
    let code = Person::at(&address).run(&["list"]).0;
    assert_ne!(code, 0, "nobody answers there any more");
    let third = id(&two.person().upload(&clips::clip("vp9.mp4"), "--wait=all")).to_owned();
    playlists::check(&two.at(&third));
    playlists::check(&two.at(&second));

    // It comes back with what it had.
    let one = Home::open(&runtime, folders[0].path());
    assert_eq!(listed(&one.person()), std::slice::from_ref(&first));
    playlists::check(&one.at(&first));
    assert!(one.stop(&runtime) && two.stop(&runtime));
}
