//! Clips made by ffmpeg, and what ffmpeg and ffprobe see behind an address.

use bytes::Bytes;
use std::process::Stdio;
use tokio::process::Command;

/// A clip of two tracks whose keyframes are a second apart, its index at the end.
pub async fn clip(seconds: u32) -> Bytes {
    made(seconds, "testsrc2=size=320x180:rate=25", "-c:v libx264 -preset ultrafast -bf 2 -g 25").await
}

/// The same with pictures of tens of kilobytes each, so that the sound lies scattered.
pub async fn heavy_clip(seconds: u32) -> Bytes {
    let noise = "testsrc2=size=640x360:rate=25,noise=alls=100:allf=t";
    made(seconds, noise, "-c:v libx264 -preset ultrafast -qp 18 -g 25").await
}

async fn made(seconds: u32, picture: &str, coder: &str) -> Bytes {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("clip.mp4");
    let length = seconds.to_string();
    let sound = format!("sine=frequency=440:sample_rate=48000:duration={seconds}");
    run(Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", &sound])
        .args(coder.split(' '))
        .args("-pix_fmt yuv420p -c:a aac -b:a 64k -t".split(' '))
        .arg(length)
        .arg(&path))
    .await;
    std::fs::read(path).unwrap().into()
}

/// What is decoded of `stream` (such as `v:0`): a line a frame, with its time in ticks and the sum of its samples.
pub async fn frames(input: &str, stream: &str) -> Vec<(i64, String)> {
    let out = run(Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-copyts", "-i", input, "-map", &format!("0:{stream}")])
        .args(["-fps_mode", "passthrough", "-enc_time_base", "-1", "-f", "framemd5", "-"]))
    .await;
    let frame = |line: &str| {
        let fields: Vec<_> = line.split(',').map(str::trim).collect();
        (fields[2].parse().expect("a time"), fields[5].to_owned())
    };
    out.lines().filter(|line| !line.starts_with('#')).map(frame).collect()
}

/// Times and sizes of the packets of `stream`, in decode order.
pub async fn packets(input: &str, stream: &str) -> Vec<String> {
    let out = run(Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", stream, "-show_entries", "packet=pts_time,size"])
        .args(["-of", "compact=p=0", input]))
    .await;
    // Side data, which ffprobe adds to the line, differs between containers.
    let is_said = |field: &&str| field.starts_with("pts") || field.starts_with("size");
    let lines = out.lines().map(|line| line.split('|').filter(is_said).collect::<Vec<_>>().join(" "));
    lines.filter(|line| !line.is_empty()).collect()
}

async fn run(command: &mut Command) -> String {
    let out = command.stdin(Stdio::null()).output().await.expect("the judge runs");
    let errors = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{command:?}: {errors}");
    assert_eq!(errors, "", "{command:?}");
    String::from_utf8(out.stdout).expect("text")
}
