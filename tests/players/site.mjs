// A page of another site with the players of others on it.
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";

const here = (path) => new URL(path, import.meta.url);
const FILES = {
  "/hls.js": here("../../web/node_modules/hls.js/dist/hls.min.js"),
  "/shaka.js": here("node_modules/shaka-player/dist/shaka-player.compiled.js"),
  "/dash.js": here("node_modules/dashjs/dist/modern/umd/dash.all.min.js"),
  "/drive.js": here("drive.js"),
};
const scripts = Object.keys(FILES).map((name) => `<script src="${name}"></script>`).join("");
const PAGE = `<!doctype html><title>players</title><link rel="icon" href="data:,"><body>${scripts}</body>`;

/** Serves the page on a port of its own; gives its address and how to end it. */
export async function openSite() {
  const site = createServer(async (request, response) => {
    const file = FILES[request.url];
    response.setHeader("content-type", file ? "text/javascript; charset=utf-8" : "text/html; charset=utf-8");
    response.end(file ? await readFile(file) : PAGE);
  });
  await new Promise((resolve) => site.listen(0, "127.0.0.1", resolve));
  return { address: `http://127.0.0.1:${site.address().port}/`, close: () => { site.close(); site.closeAllConnections(); } };
}
