// CRC-32C off the page's thread.
import { crc32c } from "@aws-crypto/crc32c";

onmessage = async ({ data }: MessageEvent<{ key: number; chunk: Blob }>) => {
  try {
    postMessage({ key: data.key, sum: crc32c(new Uint8Array(await data.chunk.arrayBuffer())) });
  } catch {
    // The file was changed, moved or removed since it was picked.
    postMessage({ key: data.key });
  }
};
