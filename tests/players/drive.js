// In a page of another site: one player plays one video, and what it did is told. Loaded as a plain script.
"use strict";

// Each starts its player on `video`, adds what goes wrong to `errors`, and says how many sounds it offers and how to stop it.
const PLAYERS = {
  "hls.js": (video, base, errors) => {
    const hls = new Hls({ enableWorker: false, maxBufferLength: 60 });
    // `aborted` is no error but a load that a seek made superfluous (hls.js ErrorDetails.INTERNAL_ABORTED).
    hls.on(Hls.Events.ERROR, (_, { details, error }) => details !== "aborted" && errors.push(`${details} ${error ?? ""}`));
    hls.loadSource(`${base}/master.m3u8`);
    hls.attachMedia(video);
    return {
      sounds: () => Math.max(hls.audioTracks.length, 1),
      texts: () => hls.subtitleTracks.map(({ lang }) => lang),
      show: () => { hls.subtitleTrack = 0; },
      stop: () => hls.destroy(),
    };
  },
  "shaka-player HLS": (video, base, errors) => withShaka(video, `${base}/master.m3u8`, errors),
  "shaka-player DASH": (video, base, errors) => withShaka(video, `${base}/manifest.mpd`, errors),
  "dash.js": (video, base, errors) => {
    const player = dashjs.MediaPlayer().create();
    player.updateSettings({
      debug: { logLevel: dashjs.Debug.LOG_LEVEL_NONE },
      streaming: { buffer: { bufferTimeDefault: 60, bufferTimeAtTopQuality: 60, bufferTimeAtTopQualityLongForm: 60 } },
    });
    for (const kind of ["ERROR", "PLAYBACK_ERROR"])
      player.on(dashjs.MediaPlayer.events[kind], ({ error }) => errors.push(`${error?.code} ${error?.message}`));
    player.initialize(video, `${base}/manifest.mpd`, false);
    return {
      sounds: () => player.getTracksFor("audio").length,
      texts: () => player.getTracksFor("text").map(({ lang }) => lang),
      show: () => player.setTextTrack(0),
      stop: () => player.destroy(),
    };
  },
};

async function withShaka(video, address, errors) {
  shaka.polyfill.installAll();
  const player = new shaka.Player();
  await player.attach(video);
  player.configure({ streaming: { bufferingGoal: 60 } });
  player.addEventListener("error", ({ detail }) => errors.push(`${detail.code} ${detail.data}`));
  await player.load(address);
  return {
    sounds: () => player.getAudioTracks().length,
    texts: () => player.getTextTracks().map(({ language }) => language),
    show: () => player.selectTextTrack(player.getTextTracks()[0]),
    stop: () => player.destroy(),
  };
}

const PATIENCE = 30_000;
const LITTLE = 0.1;

// What `drive` and others do with a video element that plays.
class Screen {
  constructor(video, errors) {
    this.video = video;
    this.errors = errors;
  }

  event(name) {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => {
        const { currentTime, readyState } = this.video;
        reject(new Error(`no ${name} at ${currentTime} in state ${readyState}, held ${JSON.stringify(this.ranges())}: ${this.errors}`));
      }, PATIENCE);
      this.video.addEventListener(name, () => { clearTimeout(late); resolve(); }, { once: true });
    });
  }

  ranges() {
    const { buffered } = this.video;
    return [...Array(buffered.length).keys()].map((i) => [buffered.start(i), buffered.end(i)]);
  }

  async advance(seconds) {
    const from = this.video.currentTime;
    await this.video.play();
    while (this.video.currentTime < from + seconds) await this.event("timeupdate");
    this.video.pause();
    return this.video.currentTime - from;
  }

  // Seeks and waits until there is something to show there; `true`, or where it is when patience ends. A player may seek by
  // itself meanwhile, and buffers are filled as it likes: what counts is where it comes to rest.
  async seek(target, near = LITTLE) {
    const until = performance.now() + PATIENCE;
    this.video.currentTime = target;
    for (;;) {
      const { seeking, currentTime, readyState } = this.video;
      // Where the first picture or sound is a little late there is nothing before it, and players start there all the same.
      const holds = this.ranges().some(([start, end]) => start <= target + LITTLE && target <= end);
      if (!seeking && readyState >= 2 && holds && Math.abs(currentTime - target) < near) return true;
      if (performance.now() > until) return { target, currentTime, readyState, seeking, ranges: this.ranges(), errors: this.errors };
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  // Waits until everything from the playhead to the end is buffered in one range, or patience ends.
  async whole() {
    const until = performance.now() + PATIENCE;
    const done = () => this.video.buffered.length === 1 && this.video.buffered.end(0) > this.video.duration - 0.2;
    while (!done() && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 50));
    return this.ranges();
  }
}

// A new video element with `player` on it.
async function open(player, base) {
  const video = document.createElement("video");
  video.muted = true;
  document.body.replaceChildren(video);
  const errors = [];
  const screen = new Screen(video, errors);
  video.addEventListener("error", () => errors.push(`video: ${video.error.message}`));
  const own = await PLAYERS[player](video, base, errors);
  return { video, errors, screen, own };
}

// Plays half a second, seeks to each of `seeks`, and fills the buffer from `start` on.
window.drive = async ({ player, base, seeks, start }) => {
  const { video, errors, screen, own } = await open(player, base);
  const first = await screen.advance(0.5);
  const landed = [];
  for (const target of seeks) landed.push(await screen.seek(target));
  // shaka-player goes a tenth of a second beyond where the first picture or sound begins.
  const again = await screen.seek(start, 2.5 * LITTLE);
  const ranges = await screen.whole();
  const sounds = own.sounds();
  const told = { advanced: first, landed, again, ranges, sounds, duration: video.duration, size: [video.videoWidth, video.videoHeight] };
  await own.stop();
  return { ...told, errors };
};

// Bits of the barcode that clips have at the top of their pictures: their number, and the width of each in pixels.
const BITS = 10;
const WIDTH = 24;

// The number that the barcode of a picture says.
function numberOf(picture) {
  const canvas = new OffscreenCanvas(BITS * WIDTH, 1);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(picture, 0, WIDTH / 2, BITS * WIDTH, 1, 0, 0, BITS * WIDTH, 1);
  const { data } = context.getImageData(0, 0, BITS * WIDTH, 1);
  return [...Array(BITS).keys()].reduce((sum, bit) => sum + (data[4 * (bit * WIDTH + WIDTH / 2)] > 127 ? 2 ** bit : 0), 0);
}

// Plays, and seeks to each of `seeks`; tells the media time and the barcode of each picture that was shown, first while it
// played, then after each seek.
window.barcodes = async ({ player, base, seeks, start }) => {
  const { video, errors, screen, own } = await open(player, base);
  // A picture and its own time are taken at one stroke: the one that is shown may have changed since the callback's was.
  const look = (mediaTime) => {
    const frame = new VideoFrame(video);
    const seen = { mediaTime, timestamp: frame.timestamp / 1e6, number: numberOf(frame) };
    frame.close();
    return seen;
  };
  const seen = [];
  const listen = () => video.requestVideoFrameCallback((_, { mediaTime }) => { seen.push(look(mediaTime)); listen(); });
  listen();
  const until = async (done) => {
    const late = performance.now() + PATIENCE;
    while (!done()) {
      if (performance.now() > late) throw new Error(`${seen.length} pictures, at ${video.currentTime}: ${errors}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  await video.play();
  await until(() => seen.length >= 40);
  video.pause();
  const playing = seen.slice(0, 40);
  const sought = [];
  for (const target of seeks) {
    await screen.seek(target);
    // Pictures from before may have been on their way: what counts is the one that stays.
    let count, since;
    await until(() => {
      if (count !== seen.length) [count, since] = [seen.length, performance.now()];
      // Before pictures that start late the first of them stays for seconds.
      const near = Math.abs(seen.at(-1).mediaTime - target) < 0.5 || (target < start && seen.at(-1).mediaTime < start);
      return performance.now() - since > 300 && near;
    });
    sought.push({ target, ...seen.at(-1) });
  }
  await own.stop();
  return { playing, sought, errors };
};

// Plays with its first captions on, and seeks to each of `at`; tells all cues, and which are shown there.
window.captions = async ({ player, base, at }) => {
  const { video, errors, screen, own } = await open(player, base);
  // As soon as they are known: shaka-player does not fetch those of HLS that are chosen once all else is buffered.
  const early = own.texts().length > 0;
  if (early) await own.show();
  await screen.advance(0.2);
  if (!early) await own.show();
  const plain = (cue) => cue.getCueAsHTML?.().textContent ?? cue.text;
  const cues = (which) => [...video.textTracks].flatMap((track) => [...(track[which] ?? [])]);
  const until = async (done) => {
    const late = performance.now() + PATIENCE;
    while (!done() && performance.now() < late) await new Promise((resolve) => setTimeout(resolve, 20));
  };
  const shown = [];
  for (const target of at) {
    await screen.seek(target);
    await until(() => cues("cues").length > 0);
    // What is shown follows a seek a moment later.
    const due = () => cues("cues").filter(({ startTime, endTime }) => startTime <= target && target < endTime).length;
    await until(() => cues("activeCues").length === due());
    shown.push(cues("activeCues").map(plain));
  }
  await until(() => cues("cues").length > 2);
  const rounded = (time) => Math.round(time * 1000) / 1000;
  const all = cues("cues").map((cue) => ({ start: rounded(cue.startTime), end: rounded(cue.endTime), text: plain(cue) }));
  const languages = own.texts();
  await own.stop();
  return { cues: all, shown, languages, errors };
};
