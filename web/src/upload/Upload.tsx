// Picking files and seeing them go.
import { useRef, useState } from "react";
import { sentence } from "../api/client";
import { learn } from "../api/library";
import { discard, send } from "./send";

interface Sending {
  key: number;
  /** Stops it. */
  stop: AbortController;
  /** The video it becomes, once the server made it. */
  videoId?: string;
  name: string;
  size: number;
  sent: number;
  error?: string;
}

let keys = 0;

export function Upload() {
  const input = useRef<HTMLInputElement>(null);
  const [sendings, setSendings] = useState<Sending[]>([]);

  const change = (key: number, part: Partial<Sending>) =>
    setSendings((all) => all.map((one) => (one.key === key ? { ...one, ...part } : one)));

  async function start(file: File) {
    const key = ++keys;
    const stop = new AbortController();
    setSendings((all) => [...all, { key, stop, name: file.name, size: file.size, sent: 0 }]);
    try {
      if (file.size === 0) throw new Error("the file is empty");
      learn(await send(file, (videoId) => change(key, { videoId }), (sent) => change(key, { sent }), stop.signal));
      setSendings((all) => all.filter((one) => one.key !== key));
    } catch (error) {
      change(key, { error: sentence(error) });
    }
  }

  /** Stops a sending and removes what was sent. */
  async function giveUp(one: Sending) {
    one.stop.abort();
    setSendings((all) => all.filter((other) => other.key !== one.key));
    // A server that can't be reached lets the upload expire.
    if (one.videoId) await discard(one.videoId).catch(() => {});
  }

  return (
    <section className="upload" aria-label="Upload">
      <input ref={input} type="file" multiple hidden accept="video/*,audio/*,.mp4,.mov,.m4v,.m4a,.mkv,.webm,.mka"
        onChange={(event) => {
          for (const file of event.target.files ?? []) void start(file);
          event.target.value = "";
        }} />
      <button className="primary" onClick={() => input.current?.click()}>Upload</button>
      <ul aria-live="polite">
        {sendings.map((one) => (
          <li key={one.key}>
            <span>{one.name}</span>
            {one.error ? (
              <>
                <strong role="alert">{one.error}</strong>
                <button onClick={() => void giveUp(one)}>Dismiss</button>
              </>
            ) : (
              <>
                <progress max={one.size || 1} value={one.sent} aria-label={`Sending ${one.name}`} />
                <button onClick={() => void giveUp(one)}>Cancel</button>
              </>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}
