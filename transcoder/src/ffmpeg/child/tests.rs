use super::*;
use crate::ffmpeg::program::for_tests;
use std::time::Duration;

/// Raw grey pictures of 16 bytes pass through as they are.
fn echo() -> Vec<String> {
    words("-v error -nostdin -f rawvideo -pix_fmt gray -s 4x4 -i pipe:0 -f rawvideo pipe:1")
}

/// Pictures without end.
fn endless() -> Vec<String> {
    words("-v error -nostdin -f lavfi -i color=s=64x64 -f rawvideo pipe:1")
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

/// The state letter and parent of a process, none if there is no such process.
fn stat(pid: i32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next().map(|rest| rest.trim().to_owned())
}

/// The child's number, once it has been started.
async fn pid_of(process: &Process) -> i32 {
    loop {
        if let Some(pid) = process.grip.pid() {
            return pid.as_raw_nonzero().get();
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn bytes_pass_through_in_chunks() {
    let program = for_tests().await;
    let Child { feed, mut output, mut process } = program.start(echo(), 16);
    for number in 0..5_u8 {
        feed.write(Bytes::from(vec![number; 16])).await.expect("it reads");
    }
    drop(feed);
    for number in 0..5_u8 {
        assert_eq!(output.next().await.expect("a picture"), vec![number; 16]);
    }
    assert_eq!(output.next().await, None);
    process.wait().await.expect("ends well");
}

#[tokio::test]
async fn a_slow_reader_holds_the_feed_up() {
    let program = for_tests().await;
    let Child { feed, output, process } = program.start(echo(), 16);
    let piece = Bytes::from(vec![7; 1 << 20]);
    let written = async {
        let mut written = 0_u64;
        loop {
            feed.write(piece.clone()).await.expect("it lives");
            written += 1;
            assert!(written < 64, "nobody reads, yet 64 MiB were taken");
        }
    };
    // Whatever the pipes hold is taken soon; after that nothing is.
    assert!(tokio::time::timeout(Duration::from_secs(1), written).await.is_err());
    drop((feed, output, process));
    program.idle().await;
}

#[tokio::test]
async fn dropped_it_is_killed_and_reaped() {
    let program = for_tests().await;
    let Child { feed, output, process } = program.start(echo(), 16);
    let pid = pid_of(&process).await;
    assert!(stat(pid).is_some());
    drop(process);
    program.idle().await;
    assert_eq!(stat(pid), None, "neither alive nor a zombie");
    drop((feed, output));
}

#[tokio::test]
async fn killed_before_it_runs_it_never_gets_to_work() {
    let program = for_tests().await;
    let Child { feed: _feed, output: _output, mut process } = program.start(echo(), 16);
    process.kill();
    assert!(matches!(process.wait().await, Err(ChildError::Killed { signal: 9, .. })));
    program.idle().await;
}

#[tokio::test]
async fn nobody_reads_so_it_ends() {
    let program = for_tests().await;
    let Child { feed: _feed, output, mut process } = program.start(endless(), 4096);
    drop(output);
    assert!(process.wait().await.is_err());
}

#[tokio::test]
async fn its_last_words_are_the_reason() {
    let program = for_tests().await;
    let Child { feed, mut output, mut process } =
        program.start(words("-v error -nostdin -f mp4 -i pipe:0 -f rawvideo pipe:1"), 16);
    let _ = feed.write(Bytes::from_static(b"this is no video, whatever it says")).await;
    drop(feed);
    assert_eq!(output.next().await, None);
    let error = process.wait().await.expect_err("no video");
    assert!(matches!(&error, ChildError::Failed { said, .. } if said.contains("Invalid data")), "{error}");
}

#[tokio::test]
async fn it_is_restricted_and_leads_its_own_group() {
    let program = for_tests().await;
    let Child { feed: _feed, mut output, mut process } = program.start(endless(), 4096);
    // Its pipes are connected after it was restricted.
    output.next().await.expect("a picture");
    let pid = pid_of(&process).await;
    let fields: Vec<_> = stat(pid).expect("alive").split(' ').map(str::to_owned).collect();
    assert_eq!(fields[2], pid.to_string(), "process group");
    let ours: i32 = stat(i32::try_from(std::process::id()).expect("small"))
        .expect("alive")
        .split(' ')
        .nth(16)
        .expect("nice")
        .parse()
        .expect("a number");
    assert_eq!(fields[16].parse::<i32>().expect("nice"), (ours + 10).min(19));
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).expect("alive");
    let limit = |name: &str| limits.lines().find(|line| line.starts_with(name)).map(str::to_owned);
    assert!(limit("Max address space").is_some_and(|line| line.contains("4294967296")), "{limits}");
    assert!(limit("Max file size").is_some_and(|line| line.contains(" 0 ")), "{limits}");
    let environment = std::fs::read(format!("/proc/{pid}/environ")).expect("alive");
    assert!(!String::from_utf8_lossy(&environment).contains("CARGO"), "no more than it needs");
    process.kill();
    assert!(process.wait().await.is_err());
}

/// Plays the worker that is killed when it is told to by the environment: starts an ffmpeg that needs none of its pipes,
/// and never ends.
#[tokio::test]
async fn it_does_not_outlive_its_worker() {
    const ROLE: &str = "WORKER_TO_BE_KILLED";
    let program = for_tests().await;
    if std::env::var_os(ROLE).is_some() {
        let Child { feed: _feed, output: _output, process } =
            program.start(words("-v error -nostdin -f lavfi -i color -f null pipe:1"), 1);
        let pid = pid_of(&process).await;
        // From here on it is on its leash; before, a closed stdin has to do.
        while std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name != "ffmpeg\n") {
            tokio::task::yield_now().await;
        }
        println!("\npid {pid}");
        return std::future::pending().await;
    }
    let mut worker = Command::new(std::env::current_exe().expect("a test binary"))
        .args(["--exact", "--nocapture", "ffmpeg::child::tests::it_does_not_outlive_its_worker"])
        .env(ROLE, "yes")
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let said = io::BufRead::lines(io::BufReader::new(worker.stdout.take().expect("piped")));
    let pid = said.map_while(Result::ok).find_map(|line| line.strip_prefix("pid ")?.parse().ok()).expect("a child");
    assert!(stat(pid).is_some());
    worker.kill().expect("it runs");
    worker.wait().expect("it is ours");
    let begun = std::time::Instant::now();
    // Nobody but the machine's first process can reap it, which may be slow or none.
    while stat(pid).is_some_and(|stat| !stat.starts_with('Z')) {
        assert!(begun.elapsed() < Duration::from_secs(20), "it still runs");
        tokio::task::yield_now().await;
    }
}

/// The ffmpeg of this machine with other limits.
async fn limited(limits: Limits) -> Program {
    Program::find(std::path::Path::new("ffmpeg"), limits).await.expect("the tests need ffmpeg")
}

#[tokio::test]
async fn one_that_stands_still_is_ended() {
    let program = limited(Limits { stall: Duration::from_millis(200), ..Limits::default() }).await;
    // Its stdin is at its end, and it never writes.
    let Child { feed, mut output, mut process } =
        program.start(words("-v error -nostdin -re -f lavfi -i color -f null pipe:1"), 16);
    drop(feed);
    assert_eq!(output.next().await, None);
    let error = process.wait().await.expect_err("it does not end by itself");
    assert!(matches!(error, ChildError::Stalled(stall) if stall == program.limits().stall), "{error}");
}

#[tokio::test]
async fn one_that_waits_for_us_does_not_stand_still() {
    let stall = Duration::from_millis(200);
    let program = limited(Limits { stall, ..Limits::default() }).await;
    let Child { feed, mut output, mut process } = program.start(echo(), 16);
    feed.write(Bytes::from_static(&[1; 16])).await.expect("it reads");
    // Several times as long as it may stand still.
    tokio::time::sleep(stall * 6).await;
    process.kill();
    while output.next().await.is_some() {}
    let error = process.wait().await.expect_err("it was killed");
    assert!(matches!(error, ChildError::Killed { signal: 9, .. }), "{error}");
    drop(feed);
}

#[tokio::test]
async fn one_that_writes_without_end_is_ended() {
    let program = limited(Limits { output: 1 << 20, ..Limits::default() }).await;
    let Child { feed: _feed, mut output, mut process } = program.start(endless(), 4096);
    let mut taken = 0;
    while let Some(bytes) = output.next().await {
        taken += bytes.len();
    }
    let error = process.wait().await.expect_err("it does not end by itself");
    assert!(matches!(error, ChildError::TooMuch(1_048_576)) && taken <= 1 << 20, "{taken}: {error}");
}

#[tokio::test]
async fn one_that_computes_too_long_is_ended() {
    let program = limited(Limits { time: Duration::from_secs(1), ..Limits::default() }).await;
    let Child { feed: _feed, output: _output, mut process } =
        program.start(words("-v error -nostdin -f lavfi -i testsrc2=s=640x360 -f null pipe:1"), 16);
    let error = process.wait().await.expect_err("it does not end by itself");
    assert!(matches!(error, ChildError::Killed { signal: 9, .. }), "{error}");
}

#[test]
fn what_is_said_is_bounded() {
    let mut said = b"first\n".to_vec();
    said.extend(vec![b'x'; 100_000]);
    said.extend(b"\n\n[h264 @ 0x55d0] [IMGUTILS @ 0x7ff0] one\ntwo [2]\n[three] 3\n");
    assert_eq!(last_words(said.as_slice()), "one; two [2]; [three] 3");
    assert!(last_words(vec![b'x'; 100_000].as_slice()).len() <= SAID);
}
