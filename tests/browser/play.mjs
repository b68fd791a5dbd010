// Plays each video from its page: time advances, no gap in what is buffered, five seeks land, hls.js has no error.
import { input, print, withPage } from "./chromium.mjs";

const SEEKS = [0.1, 0.9, 0.3, 0.7, 0.5];

async function play(page, address, id) {
  await page.goto(`${address}/watch/${id}`);
  await page.waitForFunction(() => (document.querySelector("video")?.readyState ?? 0) >= 2, undefined, { timeout: 30_000 });
  return page.evaluate(async (seeks) => {
    const video = document.querySelector("video");
    const event = (name) => new Promise((resolve, reject) => {
      video.addEventListener(name, resolve, { once: true });
      setTimeout(() => reject(new Error(`no ${name} at ${video.currentTime}`)), 20_000);
    });
    await video.play();
    const from = video.currentTime;
    while (video.currentTime < from + 0.5) await event("timeupdate");
    const advanced = video.currentTime - from;
    video.pause();
    const landed = [];
    for (const part of seeks) {
      const target = video.duration * part;
      const arrived = event("seeked");
      video.currentTime = target;
      await arrived;
      while (video.readyState < 2) await event("canplay");
      const holds = [...Array(video.buffered.length).keys()].some((i) =>
        video.buffered.start(i) <= target && target <= video.buffered.end(i));
      landed.push(holds && Math.abs(video.currentTime - target) < 0.01);
    }
    // From the start to the end in one go: everything is buffered in one range.
    const back = event("seeked");
    video.currentTime = 0;
    await back;
    const patience = performance.now() + 30_000;
    const whole = () => video.buffered.length === 1 && video.buffered.end(0) > video.duration - 0.2;
    while (!whole() && performance.now() < patience) await new Promise((resolve) => setTimeout(resolve, 100));
    const ranges = [...Array(video.buffered.length).keys()].map((i) => [video.buffered.start(i), video.buffered.end(i)]);
    const quality = video.getVideoPlaybackQuality();
    // `aborted` is no error but a load that a seek made superfluous (hls.js ErrorDetails.INTERNAL_ABORTED).
    const errors = window.hlsErrors.filter((details) => details !== "aborted");
    return { advanced, landed, ranges, duration: video.duration, errors, width: video.videoWidth, frames: quality.totalVideoFrames };
  }, SEEKS);
}

print(await withPage(async (page, problems) => {
  const results = {};
  for (const id of input.ids) results[id] = await play(page, input.address, id);
  return { results, problems };
}));
