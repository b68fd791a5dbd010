// All videos, kept true by one stream of changes.
import { useEffect, useSyncExternalStore } from "react";
import { gateway } from "./client";
import type { Progress, Video } from "../gen/vidstream/v1/video_pb";
import { VideoState } from "../gen/vidstream/v1/video_pb";

export interface Library {
  /** Newest first; removed ones are left out. */
  videos: Video[];
  /** The latest progress of each video. */
  progress: ReadonlyMap<string, Progress>;
  /** Loading until the first list is there; offline while the stream is down. */
  connection: "loading" | "live" | "offline";
}

const videos = new Map<string, Video>();
const progress = new Map<string, Progress>();
const listeners = new Set<() => void>();
let snapshot: Library = { videos: [], progress, connection: "loading" };

function publish(connection: Library["connection"]) {
  const shown = [...videos.values()].filter((video) => video.state !== VideoState.REMOVED);
  shown.sort((a, b) => created(b) - created(a) || (a.id < b.id ? 1 : -1));
  snapshot = { videos: shown, progress: new Map(progress), connection };
  listeners.forEach((listener) => listener());
}

const created = (video: Video) => Number(video.createTime?.seconds ?? 0n) * 1e3 + (video.createTime?.nanos ?? 0) / 1e6;

/** Takes a video as the server has it, unless a newer one is known. Views rise without a new revision. */
export function learn(video: Video) {
  const known = videos.get(video.id);
  if (known && (known.revision > video.revision || (known.revision === video.revision && known.views > video.views))) return;
  videos.set(video.id, video);
  publish(snapshot.connection);
}

async function list(): Promise<string> {
  const seen = new Map<string, Video>();
  let position = "";
  let pageToken = "";
  do {
    const page = await gateway.listVideos({ pageSize: 200, pageToken });
    position ||= page.position;
    for (const video of page.videos) seen.set(video.id, video);
    pageToken = page.nextPageToken;
  } while (pageToken && seen.size < 2000);
  videos.clear();
  seen.forEach((video, id) => videos.set(id, video));
  publish("live");
  return position;
}

async function follow(signal: AbortSignal) {
  let position = "";
  let pause = 250;
  while (!signal.aborted) {
    try {
      position ||= await list();
      for await (const event of gateway.watchVideos({ position, includeProgress: true }, { signal })) {
        pause = 250;
        position = event.position || position;
        const { event: what } = event;
        if (what.case === "changed") learn(what.value);
        else if (what.case === "purged") videos.delete(what.value.videoId);
        else if (what.case === "progress") progress.set(what.value.videoId, what.value);
        else if (what.case === "reset") {
          position = "";
          break;
        }
        publish("live");
      }
    } catch {
      if (signal.aborted) return;
      publish("offline");
      await new Promise((resolve) => setTimeout(resolve, pause));
      pause = Math.min(pause * 2, 5000);
    }
  }
}

let users = 0;
let stream: AbortController | undefined;

/** The library; one stream serves every component that uses it. */
export function useLibrary(): Library {
  useEffect(() => {
    if (users++ === 0) {
      stream = new AbortController();
      void follow(stream.signal);
    }
    return () => {
      if (--users === 0) stream?.abort();
    };
  }, []);
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => snapshot,
  );
}
