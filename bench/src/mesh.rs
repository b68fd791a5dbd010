//! The servers of a mesh on this machine, and one of each service on them; or all of it in one process, on files.

use vidstream_test_servers::{Kind, PASSWORD, Server as Backend, USER};
use vidstream_tests::server::{Server, Starting};

/// A database, a store, a broker and a bus of others' making.
pub struct Backends {
    servers: [Backend; 4],
}

impl Backends {
    /// New ones, with nothing in them.
    pub async fn start() -> Self {
        let start = Backend::start;
        let (mongo, minio) = tokio::join!(start(Kind::MongoDb), start(Kind::Minio));
        let (rabbit, redis) = tokio::join!(start(Kind::RabbitMq), start(Kind::Redis));
        minio.make_bucket("videos").await;
        Self { servers: [mongo, minio, rabbit, redis] }
    }

    fn flags(&self) -> Vec<String> {
        let [mongo, minio, rabbit, redis] = &self.servers;
        let objects = format!("s3://{USER}:{PASSWORD}@videos/mesh?region=us-east-1&endpoint={}", minio.url());
        let catalog = format!("{}/videos", mongo.url());
        let flags =
            [("--catalog", catalog), ("--objects", objects), ("--queue", rabbit.url()), ("--events", redis.url())];
        flags.into_iter().flat_map(|(flag, url)| [flag.to_owned(), url]).collect()
    }
}

/// Processes that are one platform; the first has the gateway.
pub struct Platform {
    processes: Vec<Server>,
}

impl Platform {
    /// One process, on files of its own.
    pub fn embedded(more: &[&str]) -> Self {
        Self { processes: vec![Server::on_disk(&crate::media::folder(), more)] }
    }

    /// A gateway, a catalog and a transcoder.
    pub fn apart(backends: &Backends, more: &[&str]) -> Self {
        let flags = backends.flags();
        let flags: Vec<&str> = flags.iter().map(String::as_str).chain(more.iter().copied()).collect();
        let start = |role: &[&str]| Starting::of(&[&flags, role].concat()).ready();
        let peer = |server: &Server| server.address.trim_start_matches("http://").to_owned();
        let catalog = start(&["--roles", "catalog", "--mesh-listen", "127.0.0.1:0"]);
        let to_catalog = peer(&catalog);
        let of_transcoder = ["--roles", "transcoder", "--mesh-listen", "127.0.0.1:0", "--to-catalog", &to_catalog];
        let transcoder = start(&of_transcoder);
        let to_transcoder = peer(&transcoder);
        let of_gateway = ["--roles", "gateway", "--listen", "127.0.0.1:0", "--to-catalog", &to_catalog];
        let gateway = start(&[&of_gateway[..], &["--to-transcoder", &to_transcoder]].concat());
        Self { processes: vec![gateway, transcoder, catalog] }
    }

    /// Where clients reach it.
    pub fn address(&self) -> &str {
        &self.processes[0].address
    }

    /// CPU time of its processes so far.
    pub fn cpu(&self) -> std::time::Duration {
        self.processes.iter().map(|process| crate::cost::cpu(process.id())).sum()
    }

    /// Ends all of it.
    pub fn stop(self) {
        for process in self.processes {
            assert!(process.stop().success(), "it ends well");
        }
    }
}
