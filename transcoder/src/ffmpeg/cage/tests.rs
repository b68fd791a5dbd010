use super::*;
use crate::ffmpeg::child::{Child, ChildError};
use crate::ffmpeg::program::{Limits, Program};
use std::net::TcpListener;

/// Each way to be caged here, and how it is called.
fn ways() -> Vec<Layers> {
    let Layers { landlock, seccomp, .. } = Layers::of_this_machine();
    assert!(landlock.is_some_and(|abi| abi >= 6) && seccomp, "the tests need Linux 6.12 or newer with Landlock");
    let bubblewrap = Layers::of_bubblewrap().expect("the tests need bubblewrap");
    vec![
        Layers { landlock, ..Layers::NONE },
        Layers { seccomp, ..Layers::NONE },
        Layers { landlock, seccomp, ..Layers::NONE },
        bubblewrap,
    ]
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

/// Runs what is at `path` with `args` in these layers, and gives what it wrote and how it ended.
async fn run(layers: Layers, path: &str, args: Vec<String>) -> (String, Result<String, ChildError>) {
    let program = Program::unasked(layers, Path::new(path), Limits::default());
    let Child { feed, mut output, mut process } = program.start(args, 4096);
    drop(feed);
    let mut written = Vec::new();
    while let Some(bytes) = output.next().await {
        written.extend_from_slice(&bytes);
    }
    let ended = process.wait().await.map(|run| run.said);
    (String::from_utf8_lossy(&written).into_owned(), ended)
}

/// What a shell in these layers writes when it is told `script`: the worst that can take a child over.
async fn shell(layers: Layers, script: &str) -> String {
    run(layers, "/bin/sh", vec!["-c".to_owned(), script.to_owned()]).await.0
}

#[tokio::test]
async fn it_opens_no_file_though_it_is_told_to() {
    let folder = tempfile::tempdir().expect("a folder");
    let canary = folder.path().join("canary");
    std::fs::write(&canary, "sixteen letters.").expect("written");
    let args =
        format!("-v error -nostdin -f rawvideo -pix_fmt gray -s 4x4 -i file:{} -f rawvideo pipe:1", canary.display());
    let (written, ended) = run(Layers::NONE, "ffmpeg", words(&args)).await;
    assert_eq!(written, "sixteen letters.", "without a cage it does");
    ended.expect("it ends well");
    for layers in ways().into_iter().filter(|layers| layers.hide_files()) {
        let (written, ended) = run(layers, "ffmpeg", words(&args)).await;
        let error = ended.expect_err("it can't be opened").to_string();
        assert_eq!(written, "", "{layers}");
        assert!(error.contains("Permission denied") || error.contains("No such file"), "{layers}: {error}");
    }
}

#[tokio::test]
async fn it_writes_no_file_whoever_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("new");
    let script =
        format!("mkdir {0} && echo made; ls {1} >/dev/null && echo listed", path.display(), folder.path().display());
    assert_eq!(shell(Layers::NONE, &script).await, "made\nlisted\n");
    std::fs::remove_dir(&path).expect("it was made");
    for layers in ways().into_iter().filter(|layers| layers.hide_files()) {
        assert_eq!(shell(layers, &script).await, "", "{layers}");
        assert!(!path.exists(), "{layers}");
    }
}

#[tokio::test]
async fn it_connects_to_nobody() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("it can be asked");
    let port = listener.local_addr().expect("bound").port();
    let args = words(&format!("-v error -nostdin -rw_timeout 100000 -i tcp://127.0.0.1:{port} -f rawvideo pipe:1"));
    let (_, ended) = run(Layers::NONE, "ffmpeg", args.clone()).await;
    ended.expect_err("nobody sends anything");
    assert!(listener.accept().is_ok(), "without a cage it does");
    for layers in ways() {
        let (_, ended) = run(layers, "ffmpeg", args.clone()).await;
        ended.expect_err("it can't connect");
        assert!(listener.accept().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock), "{layers}");
    }
}

#[tokio::test]
async fn it_signals_nobody() {
    let us = std::process::id();
    let script = format!("kill -0 {us} && echo reached; test -d /proc/{us} && echo seen");
    assert!(shell(Layers::NONE, &script).await.starts_with("reached\n"), "without a cage it does");
    for layers in ways() {
        assert!(!shell(layers, &script).await.contains("reached"), "{layers}");
    }
}

#[tokio::test]
async fn it_has_no_rights_to_give_up() {
    let script = "while read name value; do case $name in CapEff: | CapBnd: | NoNewPrivs: | Seccomp:) echo $name $value;; esac; \
                  done < /proc/self/status";
    let layers = Layers { seccomp: true, ..Layers::NONE };
    let said = shell(layers, script).await;
    let none = "0000000000000000";
    assert!(said.contains(&format!("CapEff: {none}")) && said.contains("NoNewPrivs: 1"), "{said}");
    assert!(said.contains("Seccomp: 2"), "{said}");
}

#[tokio::test]
async fn pipes_work_in_it() {
    let echo = words("-v error -nostdin -f rawvideo -pix_fmt gray -s 4x4 -i pipe:0 -f rawvideo pipe:1");
    for layers in ways() {
        let program = Program::unasked(layers, Path::new("ffmpeg"), Limits::default());
        let Child { feed, mut output, mut process } = program.start(echo.clone(), 16);
        feed.write(bytes::Bytes::from_static(&[7; 16])).await.expect("it reads");
        drop(feed);
        assert_eq!(output.next().await.expect("a picture"), [7_u8; 16].as_slice(), "{layers}");
        process.wait().await.expect("it ends well");
    }
}

/// Through all that stands between us and ffmpeg: its own processor time is what is told.
#[tokio::test]
async fn what_it_took_is_counted_through_it() {
    let work = words("-v error -nostdin -f lavfi -i testsrc2=size=1280x720:duration=3 -c:v mpeg4 -f m4v pipe:1");
    for layers in ways() {
        let program = Program::unasked(layers, Path::new("ffmpeg"), Limits::default());
        let Child { feed, mut output, mut process } = program.start(work.clone(), 4096);
        drop(feed);
        while output.next().await.is_some() {}
        let run = process.wait().await.expect("it ends well");
        // 75 pictures to make and to encode are several ticks of the kernel's clock, wherever this runs.
        let cpu = run.cpu.expect("the kernel says");
        assert!(cpu >= std::time::Duration::from_millis(50) && run.bytes_in == 0, "{layers}: {run:?}");
        assert_eq!(run.arguments, work, "{layers}");
    }
}

#[tokio::test]
async fn killed_in_bubblewrap_it_is_gone() {
    let bubblewrap = Layers::of_bubblewrap().expect("the tests need bubblewrap");
    let program = Program::unasked(bubblewrap, Path::new("ffmpeg"), Limits::default());
    let endless = words("-v error -nostdin -f lavfi -i color=s=66x66 -f rawvideo pipe:1");
    let Child { feed, mut output, process } = program.start(endless, 4096);
    output.next().await.expect("a picture");
    let running = || {
        let processes = std::fs::read_dir("/proc").expect("processes").filter_map(Result::ok);
        let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
        lines.filter(|line| String::from_utf8_lossy(line).contains("color=s=66x66")).count()
    };
    assert!(running() > 0);
    drop((feed, output, process));
    program.idle().await;
    // Its namespace ends with its first process, which the kernel ends with the one that we reaped.
    while running() > 0 {
        tokio::task::yield_now().await;
    }
}

/// The threads of the server stay free: only that which starts children is in the cage.
#[tokio::test]
async fn the_server_is_not_in_it() {
    shell(Layers::of_this_machine(), "true").await;
    assert!(std::fs::read_dir("/").is_ok() && TcpListener::bind("127.0.0.1:0").is_ok());
}

#[test]
fn what_holds_is_said() {
    assert_eq!(Layers::NONE.to_string(), "none");
    assert_eq!(Layers { landlock: Some(7), seccomp: true, bubblewrap: false }.to_string(), "landlock 7, seccomp");
    assert!(!Layers::NONE.hold() && Layers { seccomp: true, ..Layers::NONE }.hold());
    assert!(!Layers { seccomp: true, ..Layers::NONE }.hide_files());
}
