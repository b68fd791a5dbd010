// An upload to a server whose memory others hold: it waits as long as it is told, and goes on by itself.
import { input, print, withPage } from "./chromium.mjs";

print(await withPage(async (page) => {
  const answers = [];
  page.on("response", (response) => {
    if (response.request().method() === "PUT") answers.push({ url: response.url(), status: response.status(), at: Date.now() });
  });
  await page.goto(input.address);
  await page.setInputFiles("input[type=file]", input.file);
  await page.locator("li[data-state=READY]").waitFor({ timeout: 120_000 });
  return { answers };
}));
