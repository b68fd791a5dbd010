// Sends one file: cells of 8 MiB, a few in parallel, wanted ones first, each with its checksum.
import { gateway, requestId, uploads } from "../api/client";
import type { Video } from "../gen/vidstream/v1/video_pb";

const CELL = 8 * 1024 * 1024;
const PARALLEL = 2;
const ATTEMPTS = 6;

interface Range {
  start: number;
  end: number;
}

/** Numbers of the cells of a file of `size` bytes that are not durable yet. */
export function missingCells(size: number, durable: Range[]): number[] {
  const cells = [];
  for (let start = 0; start < size; start += CELL) {
    const end = Math.min(start + CELL, size);
    if (!durable.some((range) => range.start <= start && end <= range.end)) cells.push(start / CELL);
  }
  return cells;
}

const worker = new Worker(new URL("./sum.worker.ts", import.meta.url), { type: "module" });
const waiting = new Map<number, (sum: number) => void>();
let key = 0;
worker.onmessage = ({ data }: MessageEvent<{ key: number; sum: number }>) => {
  waiting.get(data.key)?.(data.sum);
  waiting.delete(data.key);
};

function crc32c(chunk: Blob): Promise<number> {
  return new Promise((resolve) => {
    waiting.set(++key, resolve);
    worker.postMessage({ key, chunk });
  });
}

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
  for (let attempt = 1; ; attempt++) {
    try {
      const response = await fetch(`/uploads/${uploadId}/bytes?offset=${offset}`, { method: "PUT", body: chunk, headers, signal });
      if (response.ok) return (await response.json()) as Answer;
      const problem = (await response.json().catch(() => ({}))) as { detail?: string };
      const error = new Error(problem.detail ?? `the server answered ${response.status}`);
      if (response.status < 500 && response.status !== 429) throw Object.assign(error, { final: true });
      throw error;
    } catch (error) {
      if (signal.aborted || attempt === ATTEMPTS || (error as { final?: boolean }).final) throw error;
      await new Promise((resolve) => setTimeout(resolve, 250 * 2 ** attempt * (0.5 + Math.random())));
    }
  }
}

/** Uploads `file`; `onSent` hears of bytes that are durable. */
export async function send(file: File, onCreated: (videoId: string) => void, onSent: (bytes: number) => void, signal: AbortSignal): Promise<Video> {
  const { upload } = await uploads.createUpload({ requestId: requestId(), fileName: file.name, size: BigInt(file.size) });
  if (!upload) throw new Error("the server made no upload");
  onCreated(upload.videoId);
  const cells = missingCells(file.size, []);
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

/** Gives up an upload that failed: its video is removed at once. */
export async function discard(videoId: string) {
  await gateway.removeVideo({ requestId: requestId(), videoId, purgeAfter: { seconds: 0n, nanos: 0 } });
}
