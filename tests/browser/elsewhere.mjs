// A page of another site: its player plays, and that is all it can do. The names end here (`--host-resolver-rules`).
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { input, print, withPage } from "./chromium.mjs";

const HLS = new URL("../../web/node_modules/hls.js/dist/hls.min.js", import.meta.url);
const PAGE = "<!doctype html><title>elsewhere</title><video muted></video><script src=hls.js></script>";

const site = createServer(async (request, response) => {
  const script = request.url === "/hls.js";
  response.setHeader("content-type", script ? "text/javascript" : "text/html");
  response.end(script ? await readFile(HLS) : PAGE);
});
await new Promise((resolve) => site.listen(0, "127.0.0.1", resolve));
const port = new URL(input.address).port;

const play = (page) => page.evaluate(async (master) => {
  const video = document.querySelector("video");
  const hls = new Hls({ enableWorker: false });
  const errors = [];
  hls.on(Hls.Events.ERROR, (_, data) => errors.push(data.details));
  hls.loadSource(master);
  hls.attachMedia(video);
  const event = (name) => new Promise((resolve, reject) => {
    video.addEventListener(name, resolve, { once: true });
    setTimeout(() => reject(new Error(`no ${name}: ${errors}`)), 20_000);
  });
  await event("canplay");
  await video.play();
  while (video.currentTime < 0.5) await event("timeupdate");
  const seeked = event("seeked");
  video.currentTime = video.duration * 0.7;
  await seeked;
  return { errors: errors.filter((details) => details !== "aborted"), width: video.videoWidth };
}, `${input.address}/videos/${input.id}/master.m3u8`);

const read = (page) => page.evaluate(async ({ address, id }) => {
  const range = await fetch(`${address}/videos/${id}/source`, { headers: { Range: "bytes=5-14", "If-Range": "\"x\"" } });
  const part = await fetch(`${address}/videos/${id}/source`, { headers: { Range: "bytes=5-14" } });
  const seen = ["content-range", "content-length", "etag"].map((name) => part.headers.get(name));
  const refused = async (path, init) => {
    try { await fetch(address + path, init); return "answered"; } catch { return "refused"; }
  };
  return {
    whole: range.status, part: part.status, seen,
    credentials: await refused(`/videos/${id}/source`, { credentials: "include" }),
    list: await refused("/vidstream.v1.GatewayService/ListVideos",
      { method: "POST", headers: { "content-type": "application/grpc-web+proto" }, body: new Uint8Array(5) }),
    health: await refused("/healthz"),
  };
}, input);

try {
  print(await withPage(async (page) => {
    await page.goto(`http://elsewhere.test:${site.address().port}/`);
    const played = await play(page);
    const reading = await read(page);
    // A name of theirs that points here.
    const rebound = (await page.goto(`http://elsewhere.test:${port}/`)).status();
    // The file opened as a page, and saved.
    await page.goto(`${input.address}/`);
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.evaluate((address) => { location.href = address; }, `${input.address}/videos/${input.id}/source?download`),
    ]);
    const pretender = await page.goto(`${input.address}/videos/${input.pretender}/source`).then(() => "shown", () => "saved");
    return { played, reading, rebound, name: download.suggestedFilename(), pretender, title: await page.title() };
  }));
} finally {
  site.close();
}
