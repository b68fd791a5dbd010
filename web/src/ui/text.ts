// Values as people read them.
import type { Duration } from "@bufbuild/protobuf/wkt";

/** `1:02:03`, `2:03`. */
export function length(duration: Duration): string {
  const seconds = Math.round(Number(duration.seconds) + duration.nanos / 1e9);
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const shown = parts[0] ? parts : parts.slice(1);
  return shown.map((part, i) => (i ? String(part).padStart(2, "0") : part)).join(":");
}

/** `1 view`, `2 views`. */
export const views = (count: bigint) => (count === 1n ? "1 view" : `${count} views`);
