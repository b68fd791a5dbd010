//! TLS of listeners and clients, with certificates that openssl makes and curl judges.

mod replica;

use replica::{LONG, Replica, Setup, ask, options, peers};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use vidstream_mesh::client::{ClientOptions, Service, connect};
use vidstream_mesh::lifecycle::Lifecycle;
use vidstream_mesh::tls::{ClientTls, Identity, ServerTls};
use vidstream_test_servers::{Authority, Signed};

fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program} is installed: {error}"))
}

/// What `authority` signs for loopback with the serial number `number`.
fn signed(authority: &Authority, name: &str, number: u32) -> Identity {
    let Signed { certificate, key } = authority.sign(name, number);
    Identity { certificate, key }
}

async fn replica(tls: ServerTls) -> Replica {
    Replica::by(Setup { tls: Some(tls), ..Setup::default() }).await
}

fn client(replica: &Replica, tls: Option<ClientTls>, life: &Lifecycle) -> Service {
    let patience = Duration::from_millis(500);
    connect(peers([replica]), ClientOptions { tls, patience, ..options() }, life)
}

#[tokio::test]
async fn services_prove_to_each_other_who_they_are() {
    let (ours, others) = (Authority::new(), Authority::new());
    let server = ServerTls::read(signed(&ours, "server", 1), Some(ours.certificate())).expect("certificates");
    let replica = replica(server).await;
    let life = Lifecycle::new();
    let right = ClientTls::read(Some(signed(&ours, "client", 2)), ours.certificate()).expect("certificates");
    assert_eq!(
        ask(&client(&replica, Some(right), &life).channel).await.expect("answered"),
        replica.address.to_string()
    );
    for (tls, why) in [
        (Some(ClientTls::read(None, ours.certificate()).expect("a certificate")), "does not take our certificate"),
        (
            Some(ClientTls::read(Some(signed(&others, "client", 2)), ours.certificate()).expect("certificates")),
            "does not take our certificate",
        ),
        (
            Some(ClientTls::read(Some(signed(&ours, "c", 3)), others.certificate()).expect("certificates")),
            "invalid peer certificate",
        ),
        (None, "perhaps it speaks TLS"),
    ] {
        let service = client(&replica, tls, &life);
        ask(&service.channel).await.expect_err("refused");
        let said = service.reach.now().expect_err("refused").to_string();
        assert!(said.contains("nobody can be reached") && said.contains(why), "{said}");
    }
}

#[tokio::test]
async fn a_listener_without_tls_is_told_from_one_with_a_wrong_certificate() {
    let authority = Authority::new();
    let replica = Replica::by(Setup::default()).await;
    let life = Lifecycle::new();
    let tls = ClientTls::read(None, authority.certificate()).expect("a certificate");
    let service = client(&replica, Some(tls), &life);
    ask(&service.channel).await.expect_err("refused");
    let said = service.reach.now().expect_err("refused").to_string();
    assert!(said.contains("it does not speak TLS"), "{said}");
}

/// Which HTTP curl speaks with a listener whose certificate it checks.
fn curl_speaks(replica: &Replica, authority: &Path, how: &str) -> String {
    let url = format!("https://{}/", replica.address);
    let authority = authority.to_str().expect("a name");
    let output = run("curl", &["-s", "-o", "/dev/null", "-w", "%{http_version}", how, "--cacert", authority, &url]);
    assert!(output.status.success(), "curl: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_change_without_a_restart() {
    let authority = Authority::new();
    let identity = signed(&authority, "server", 11);
    let replica = replica(ServerTls::read(identity.clone(), None).expect("certificates")).await;
    let ca = authority.certificate();
    let of = |number: &str| serial(&replica, &ca) == number;
    assert_eq!(curl_speaks(&replica, &ca, "--http2"), "2");
    assert_eq!(curl_speaks(&replica, &ca, "--http1.1"), "1.1");
    assert!(of("0B"));
    // What is broken changes nothing.
    let good = fs::read(&identity.certificate).expect("a file");
    fs::write(&identity.certificate, "no certificate").expect("written");
    sleep(Duration::from_millis(1200)).await;
    assert!(of("0B"));
    fs::write(&identity.certificate, good).expect("written");
    signed(&authority, "server", 12);
    timeout(LONG, async {
        while !of("0C") {
            sleep(Duration::from_millis(200)).await;
        }
    })
    .await
    .expect("it is read again");
}

/// The serial number of the certificate that a listener shows, hexadecimal.
fn serial(replica: &Replica, authority: &Path) -> String {
    let authority = authority.to_str().expect("a name");
    let script = "openssl s_client -connect $0 -CAfile $1 -verify_return_error </dev/null 2>/dev/null | openssl x509 -noout -serial";
    let output = run("sh", &["-c", script, &replica.address.to_string(), authority]);
    let text = String::from_utf8(output.stdout).expect("text");
    text.trim().strip_prefix("serial=").unwrap_or_else(|| panic!("a certificate: {text}")).to_owned()
}

#[tokio::test]
async fn a_silent_handshake_holds_up_nobody() {
    let authority = Authority::new();
    let server = ServerTls::read(signed(&authority, "server", 1), None).expect("certificates");
    let replica = replica(server).await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(TcpStream::connect(replica.address).await.expect("it listens"));
    }
    let life = Lifecycle::new();
    let tls = ClientTls::read(None, authority.certificate()).expect("a certificate");
    timeout(LONG, ask(&client(&replica, Some(tls), &life).channel)).await.expect("in time").expect("answered");
    // And a listener that stops does not wait for them.
    assert!(replica.life.stop(LONG / 2).await);
}

#[test]
fn files_that_do_not_fit_are_refused_in_words() {
    let authority = Authority::new();
    let (one, other) = (signed(&authority, "one", 1), signed(&authority, "other", 2));
    let mixed = Identity { certificate: one.certificate.clone(), key: other.key };
    let missing = Identity { certificate: "/no/such/file".into(), key: one.key.clone() };
    let swapped = Identity { certificate: one.key, key: one.certificate };
    for (identity, part) in [(mixed, "one.pem: "), (missing, "/no/such/file: "), (swapped, "no certificate in it")] {
        let error = ServerTls::read(identity, None).expect_err(part).to_string();
        assert!(error.contains(part), "{error}");
    }
}
