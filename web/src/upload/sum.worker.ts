// CRC-32C off the page's thread.
import { crc32c } from "@aws-crypto/crc32c";

onmessage = async ({ data }: MessageEvent<{ key: number; chunk: Blob }>) => {
  const sum = crc32c(new Uint8Array(await data.chunk.arrayBuffer()));
  postMessage({ key: data.key, sum });
};
