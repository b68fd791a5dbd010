// Tells the server what was truly played. The media element itself knows: `played` grows only while pictures or sound run, not
// by seeking or pausing, and what runs twice is in it once.
import { lasting, uuid } from "../api/client";

/** Seconds of media time. */
type Interval = [start: number, end: number];

const INTERVAL = 10_000;
/** Intervals of one report, at the most. */
const MOST = 64;
/** Shorter ones are not worth a report, and none to the server's millisecond. */
const SHORTEST = 0.002;

/** A random number that this browser keeps, so that it counts once. Where nothing can be kept it is this page's. */
const viewer = (() => {
  const fresh = uuid();
  try {
    const known = localStorage.getItem("viewer") ?? fresh;
    localStorage.setItem("viewer", known);
    return known;
  } catch {
    return fresh;
  }
})();

/** What is in `all` and not in `told`; both ascending and apart. */
export function without(all: Interval[], told: Interval[]): Interval[] {
  return all.flatMap(([start, end]) => {
    const left: Interval[] = [];
    for (const [from, to] of told) {
      if (to <= start || from >= end) continue;
      left.push([start, from]);
      start = to;
    }
    left.push([start, end]);
    return left.filter(([from, to]) => to - from >= SHORTEST);
  });
}

const duration = (seconds: number) => {
  const millis = Math.round(seconds * 1000);
  return { seconds: BigInt(Math.floor(millis / 1000)), nanos: (millis % 1000) * 1e6 };
};

/** Reports while `player` plays; what it gives ends that. */
export function reportWatched(player: HTMLVideoElement, videoId: string): () => void {
  let told: Interval[] = [];
  let begun = false;
  let timer = 0;

  const played = () => [...Array(player.played.length).keys()].map((i): Interval => [player.played.start(i), player.played.end(i)]);

  async function report() {
    const all = played();
    const news = without(all, told).slice(0, MOST);
    // The first report says when playing began, which is what the server measures from.
    if (begun && news.length === 0) return;
    begun = true;
    try {
      const intervals = news.map(([start, end]) => ({ start: duration(start), end: duration(end) }));
      await lasting.reportWatched({ videoId, viewerId: viewer, intervals });
      // Later ranges hold the earlier ones, so what was not sent now is sent next time.
      told = [...told, ...news].sort(([a], [b]) => a - b);
    } catch {
      // It is sent with the next one. Nobody's playing stops because a view is not counted.
    }
  }

  const send = () => void report();
  const start = () => {
    window.clearInterval(timer);
    timer = window.setInterval(send, INTERVAL);
    if (!begun) send();
  };
  const stop = () => {
    window.clearInterval(timer);
    if (begun) send();
  };
  const hidden = () => {
    if (document.visibilityState === "hidden" && begun) send();
  };
  player.addEventListener("playing", start);
  player.addEventListener("pause", stop);
  player.addEventListener("ended", stop);
  document.addEventListener("visibilitychange", hidden);
  window.addEventListener("pagehide", stop);
  return () => {
    stop();
    player.removeEventListener("playing", start);
    player.removeEventListener("pause", stop);
    player.removeEventListener("ended", stop);
    document.removeEventListener("visibilitychange", hidden);
    window.removeEventListener("pagehide", stop);
  };
}
