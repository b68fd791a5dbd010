// What the page says of a video that this browser can't decode.
import { input, print, withPage } from "./chromium.mjs";

print(await withPage(async (page) => {
  await page.goto(`${input.address}/watch/${input.id}`);
  await page.waitForSelector("[role=alert]", { timeout: 30_000 });
  return { text: await page.locator("main").innerText() };
}));
