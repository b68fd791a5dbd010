//! What people are told who use a server whose database is gone: that it does not answer, and not where it is.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use std::process::{Child, Command, Output, Stdio};
use tokio::runtime::Runtime;
use vidstream_test_servers::{self as servers, Kind};
use vidstream_tests::clips;
use vidstream_tests::judges::curl::curl;
use vidstream_tests::server::Server;
use vidstream_tests::vidctl::{Person, id};

fn started(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("vidctl starts")
}

#[test]
fn nobody_is_told_where_the_database_is() {
    let runtime = Runtime::new().expect("a runtime");
    let mongo = runtime.block_on(servers::Server::start(Kind::MongoDb));
    let server = Server::with(&["--catalog", &format!("{}/videos", mongo.url())]);
    let person = Person::of(&server);
    let file = clips::clip("last.mp4");
    let video = person.upload(&file, "--wait");
    let (id, path) = (id(&video), file.to_str().expect("text"));
    mongo.kill();

    let place = format!("127.0.0.1:{}", mongo.port());
    let look = |said: &str| {
        assert!(said.contains("the catalog's store does not answer"), "{said}");
        assert!(!said.contains(&place) && !said.contains("Kind:"), "{said}");
    };
    let commands: [&[&str]; 5] =
        [&["list"], &["get", id], &["rm", id], &["update", id, "--title", "another"], &["upload", path]];
    // All at once, because the database is looked for as often as it is asked.
    let asked = commands.map(|command| started(person.command(command)));
    let upload = format!("{}/uploads/018f0000-0000-7000-8000-000000000000/bytes?offset=0", server.address);
    let digest = format!("Content-Digest: crc32c=:{}:", BASE64_STANDARD.encode(crc32c::crc32c(b"bytes").to_be_bytes()));
    let answer = curl(&["-X", "PUT", "-H", &digest, "--data-binary", "bytes", &upload]);
    assert_eq!(answer.status, 503, "{answer:?}");
    look(answer.text());
    for (command, asked) in commands.iter().zip(asked) {
        let Output { status, stdout, stderr } = asked.wait_with_output().expect("vidctl ends");
        assert!(!status.success(), "{command:?}");
        look(&[stdout, stderr].map(|said| String::from_utf8(said).expect("text")).concat());
    }
    // Whoever runs it finds in its log where, and why in vain, in a line.
    let log = server.log();
    assert!(log.lines().any(|line| line.contains(&place) && line.contains("Connection refused")), "{log}");
    assert!(!log.contains("Topology"), "{log}");
}
