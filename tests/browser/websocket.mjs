// The client's side of a WebSocket (RFC 6455), as far as a browser on this machine needs it: text, no extensions.
import { randomBytes } from "node:crypto";
import { connect } from "node:net";

/** Opens `ws://host:port/path`; gives `send(text)`, `close()`, and calls `onText` with each message. */
export async function openWebSocket(address, onText) {
  const { hostname, port, host, pathname } = new URL(address);
  const socket = connect(Number(port), hostname);
  await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
  socket.write(`GET ${pathname} HTTP/1.1\r\nHost: ${host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n`
    + `Sec-WebSocket-Key: ${randomBytes(16).toString("base64")}\r\nSec-WebSocket-Version: 13\r\n\r\n`);
  const reader = new Reader(socket);
  const head = await reader.until("\r\n\r\n");
  if (!head.startsWith("HTTP/1.1 101 ")) throw new Error(`no WebSocket: ${head}`);
  const ended = listen(reader, socket, onText);
  return {
    ended,
    send: (text) => socket.write(frame(0x1, Buffer.from(text))),
    close: () => { socket.end(frame(0x8, Buffer.alloc(0))); return ended; },
  };
}

/** A final frame, masked as clients have to (§5.3). */
function frame(opcode, payload) {
  const { length } = payload;
  const header = length < 126 ? Buffer.from([0x80 | opcode, 0x80 | length]) : Buffer.alloc(length < 65536 ? 4 : 10);
  if (length >= 126) {
    header[0] = 0x80 | opcode;
    header[1] = 0x80 | (length < 65536 ? 126 : 127);
    if (length < 65536) header.writeUInt16BE(length, 2);
    else header.writeBigUInt64BE(BigInt(length), 2);
  }
  const mask = randomBytes(4);
  return Buffer.concat([header, mask, payload.map((byte, i) => byte ^ mask[i % 4])]);
}

/** Reads frames until the other side ends. */
async function listen(reader, socket, onText) {
  let parts = [];
  try {
    for (;;) {
      const [first, second] = await reader.take(2);
      let length = second & 0x7f;
      if (length === 126) length = (await reader.take(2)).readUInt16BE();
      else if (length === 127) length = Number((await reader.take(8)).readBigUInt64BE());
      const payload = await reader.take(length);
      const opcode = first & 0x0f;
      if (opcode === 0x8) return socket.end();
      if (opcode === 0x9) socket.write(frame(0xa, payload));
      if (opcode > 0x2) continue;
      parts.push(payload);
      if (first & 0x80) {
        onText(Buffer.concat(parts).toString());
        parts = [];
      }
    }
  } catch (error) {
    if (!(error instanceof Ended)) throw error;
  }
}

class Ended extends Error {}

/** Takes bytes off a socket in the sizes wanted. */
class Reader {
  constructor(socket) {
    this.chunks = socket[Symbol.asyncIterator]();
    this.held = Buffer.alloc(0);
  }

  async more() {
    // A browser that is told to end resets its connections.
    const { value, done } = await this.chunks.next().catch(() => ({ done: true }));
    if (done) throw new Ended("the connection ended");
    this.held = Buffer.concat([this.held, value]);
  }

  async take(length) {
    while (this.held.length < length) await this.more();
    const taken = this.held.subarray(0, length);
    this.held = this.held.subarray(length);
    return taken;
  }

  async until(mark) {
    while (!this.held.includes(mark)) await this.more();
    return (await this.take(this.held.indexOf(mark) + mark.length)).toString();
  }
}
