// Sends one file: cells of 8 MiB, a few in parallel, wanted ones first, each with its checksum.
import { gateway, requestId, uploads } from "../api/client";
import type { Video } from "../gen/vidstream/v1/video_pb";

const CELL = 8 * 1024 * 1024;
const PARALLEL = 2;
const ATTEMPTS = 6;
/** How often the server may say when to come back: it lives, and others are before us. */
const TURNS = 1000;

const worker = new Worker(new URL("./sum.worker.ts", import.meta.url), { type: "module" });
const waiting = new Map<number, (sum?: number) => void>();
let key = 0;
worker.onmessage = ({ data }: MessageEvent<{ key: number; sum?: number }>) => {
  waiting.get(data.key)?.(data.sum);
  waiting.delete(data.key);
};
worker.onerror = () => {
  waiting.forEach((heard) => heard());
  waiting.clear();
};

function crc32c(chunk: Blob): Promise<number> {
  return new Promise((resolve, reject) => {
    waiting.set(++key, (sum) => (sum === undefined ? reject(final("the file can't be read any more")) : resolve(sum)));
    worker.postMessage({ key, chunk });
  });
}

/** The milliseconds after which the server asked to come back, if it did (`Retry-After` in seconds). */
function told(response: Response): number | undefined {
  const seconds = Number(response.headers.get("Retry-After") ?? NaN);
  return seconds >= 0 && seconds <= 300 ? seconds * 1000 : undefined;
}

/** An error that trying again does not mend. */
const final = (sentence: string) => Object.assign(new Error(sentence), { final: true });

function digest(sum: number): string {
  const bytes = [sum >>> 24, sum >>> 16, sum >>> 8, sum].map((byte) => String.fromCharCode(byte & 255));
  return `crc32c=:${btoa(bytes.join(""))}:`;
}

/** The parts of the server's answer that matter here; 64-bit numbers come as strings. */
interface Answer {
  wants: { start: string; end: string }[];
}

async function put(uploadId: string, file: File, cell: number, signal: AbortSignal): Promise<Answer> {
  const offset = cell * CELL;
  const chunk = file.slice(offset, Math.min(offset + CELL, file.size));
  const headers = { "Content-Digest": digest(await crc32c(chunk)) };
  for (let attempt = 1, turn = 1; ; attempt++) {
    let wait: number | undefined;
    try {
      const response = await fetch(`/uploads/${uploadId}/bytes?offset=${offset}`, { method: "PUT", body: chunk, headers, signal });
      if (response.ok) return (await response.json()) as Answer;
      wait = told(response);
      const problem = (await response.json().catch(() => ({}))) as { detail?: string; reason?: string };
      const sentence = problem.detail ?? `the server answered ${response.status}`;
      // Bytes that were damaged on their way are sent again, as what an overloaded server refused.
      const again = response.status >= 500 || response.status === 429 || problem.reason === "CHECKSUM_MISMATCH";
      throw again ? new Error(sentence) : final(sentence);
    } catch (error) {
      // Waiting in turn is no failed attempt.
      if (wait !== undefined && turn++ < TURNS) attempt--;
      if (signal.aborted || attempt >= ATTEMPTS || (error as { final?: boolean }).final) throw error;
      await new Promise((resolve) => setTimeout(resolve, Math.max(wait ?? 0, 250 * 2 ** attempt * (0.5 + Math.random()))));
    }
  }
}

/** Cells of a file of `size` bytes. */
const cellsOf = (size: number) => Array.from({ length: Math.ceil(size / CELL) }, (_, cell) => cell);

/** A name with `_` for what names may have here and not everywhere: the server takes no other. */
const everywhere = (name: string) => name.replace(/[\\\u0000-\u001f\u007f-\u009f]/g, "_");

/** Uploads `file`; `onCreated` hears which video it becomes, `onSent` of bytes that are durable. */
export async function send(file: File, onCreated: (videoId: string) => void, onSent: (bytes: number) => void, signal: AbortSignal): Promise<Video> {
  const { upload } = await uploads.createUpload({ requestId: requestId(), fileName: everywhere(file.name), size: BigInt(file.size) });
  if (!upload) throw new Error("the server made no upload");
  onCreated(upload.videoId);
  const cells = cellsOf(file.size);
  let sent = 0;
  const lane = async () => {
    for (let cell = cells.shift(); cell !== undefined; cell = cells.shift()) {
      const answer = await put(upload.id, file, cell, signal);
      sent += Math.min(CELL, file.size - cell * CELL);
      onSent(sent);
      // Somebody waits for these bytes: an index at the file's end, say.
      for (const want of answer.wants ?? []) {
        const wanted = Math.floor(Number(want.start) / CELL);
        const at = cells.indexOf(wanted);
        if (at > 0) cells.unshift(...cells.splice(at, 1));
      }
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, lane));
  const { video } = await uploads.completeUpload({ requestId: requestId(), uploadId: upload.id });
  if (!video) throw new Error("the server completed no video");
  return video;
}

/** Gives up an upload: its video is removed for good. */
export async function discard(videoId: string) {
  await gateway.removeVideo({ requestId: requestId(), videoId, purgeAfter: { seconds: 0n, nanos: 0 } });
}
