// A headless Chromium that needs no display and calls nobody.
import { createRequire } from "node:module";

const { chromium } = createRequire(new URL("../../web/package.json", import.meta.url))("playwright-core");

/** Opens a page, gives it to `use`, and closes everything. */
export async function withPage(use) {
  const browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required", "--mute-audio",
      // Other sites, here.
      "--host-resolver-rules=MAP *.test 127.0.0.1"],
  });
  try {
    const page = await browser.newPage({ viewport: { width: 1100, height: 800 } });
    const problems = [];
    page.on("pageerror", (error) => problems.push(String(error)));
    page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
    return await use(page, problems);
  } finally {
    await browser.close();
  }
}

export const input = JSON.parse(process.argv[2]);
export const print = (value) => process.stdout.write(JSON.stringify(value));
