// The page as a person uses it: upload by picking a file, see it appear and become ready by itself, watch it, see the
// tile under the pointer on the seek bar, delete it.
import { input, print, withPage } from "./chromium.mjs";

print(await withPage(async (page, problems) => {
  await page.goto(input.address);
  await page.getByText("Nothing here yet").waitFor();
  await page.setInputFiles("input[type=file]", input.file);
  const card = page.locator("li[data-state=READY]");
  await card.waitFor({ timeout: 30_000 });
  await card.locator("img").waitFor({ timeout: 30_000 });
  const poster = await card.locator("img").evaluate(async (image) => { await image.decode(); return image.naturalWidth; });
  if (input.screenshot) await page.screenshot({ path: input.screenshot.replace(".png", "-list.png") });
  const id = await card.getAttribute("data-video");
  await card.getByRole("link").click();
  await page.waitForFunction(() => (document.querySelector("video")?.readyState ?? 0) >= 2, undefined, { timeout: 30_000 });
  await page.waitForFunction(() => document.querySelector("video track")?.track.cues?.length > 0, undefined, { timeout: 30_000 });
  const bar = page.locator("media-time-range");
  const box = await bar.boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.waitForFunction(() => {
    const preview = document.querySelector("media-preview-thumbnail[slot=preview]");
    return preview?.shadowRoot?.querySelector("img")?.naturalWidth > 0;
  }, undefined, { timeout: 10_000 });
  const preview = await page.locator("media-preview-thumbnail[slot=preview]").evaluate((element) => ({
    src: element.shadowRoot.querySelector("img").src,
    coords: element.getAttribute("mediapreviewcoords"),
  }));
  if (input.screenshot) {
    await page.setViewportSize({ width: 1100, height: 860 });
    const now = await bar.boundingBox();
    await page.mouse.move(now.x + now.width * 0.6, now.y + now.height / 2, { steps: 5 });
    await page.waitForTimeout(500);
    await page.screenshot({ path: input.screenshot });
  }
  await page.getByRole("button", { name: "Delete" }).click();
  await page.getByText("Nothing here yet").waitFor({ timeout: 10_000 });
  return { id, poster, preview, problems };
}));
