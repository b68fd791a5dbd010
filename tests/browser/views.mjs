// Who watches a video is counted: who plays enough of it, once; who seeks, pauses, plays one place again and again, or posts
// twice, is not. Batches are written in order: once a later viewer is shown, everybody before has been judged.
import { input, print, withPage } from "./chromium.mjs";

const post = /GatewayService\/ReportWatched$/;

async function opened(page) {
  await page.goto(`${input.address}/watch/${input.id}`);
  await page.waitForFunction(() => (document.querySelector("video")?.readyState ?? 0) >= 2, undefined, { timeout: 30_000 });
}

/** Does `steps` with the player and waits until its last report was answered. */
async function watched(page, steps, value) {
  let open = 0;
  let answered = 0;
  const asked = (request) => post.test(request.url()) && request.method() === "POST" && open++;
  const done = (request) => post.test(request.url()) && answered++;
  page.on("request", asked);
  page.on("requestfinished", done);
  await page.evaluate(steps, value);
  const patience = Date.now() + 20_000;
  while ((open === 0 || answered < open) && Date.now() < patience) await page.waitForTimeout(50);
  page.off("request", asked);
  page.off("requestfinished", done);
  return open;
}

const play = async (until) => {
  const video = document.querySelector("video");
  await video.play();
  while (video.currentTime < until) await new Promise((resolve) => video.addEventListener("timeupdate", resolve, { once: true }));
  video.pause();
  await new Promise((resolve) => setTimeout(resolve));
};

const seekAbout = async () => {
  const video = document.querySelector("video");
  for (const part of [0.1, 0.9, 0.3, 0.7, 0.5, 0]) {
    const arrived = new Promise((resolve) => video.addEventListener("seeked", resolve, { once: true }));
    video.currentTime = video.duration * part;
    await arrived;
  }
};

const playOnePlaceAgain = async ([seconds, times]) => {
  const video = document.querySelector("video");
  for (let time = 0; time < times; time++) {
    video.currentTime = 0;
    await video.play();
    while (video.currentTime < seconds) await new Promise((resolve) => video.addEventListener("timeupdate", resolve, { once: true }));
    video.pause();
  }
  await new Promise((resolve) => setTimeout(resolve));
};

const shown = (page, text) => page.locator("ul.facts").getByText(text, { exact: true }).waitFor({ timeout: 20_000 });

/** Another person: a browser that has kept nothing. */
async function somebodyElse(page, use) {
  const context = await page.context().browser().newContext();
  try {
    const other = await context.newPage();
    await opened(other);
    return await use(other);
  } finally {
    await context.close();
  }
}

print(await withPage(async (page, problems) => {
  await opened(page);
  await shown(page, "0 views");
  await page.evaluate(seekAbout);
  let last;
  page.on("request", (request) => { if (post.test(request.url())) last = request; });
  const reports = await watched(page, playOnePlaceAgain, [input.less, input.times]);
  const body = last.postDataBuffer();
  const repeated = [];
  for (let time = 0; time < 5; time++) {
    const headers = { "content-type": "application/grpc-web+proto", "x-grpc-web": "1" };
    repeated.push((await page.request.post(last.url(), { headers, data: body })).status());
  }
  await somebodyElse(page, (other) => watched(other, play, input.enough));
  // The one that played enough, and not the one that played one place again and again.
  await shown(page, "1 view");
  await watched(page, play, input.enough);
  await shown(page, "2 views");
  // The same person comes again.
  await opened(page);
  await watched(page, play, input.enough);
  await somebodyElse(page, (other) => watched(other, play, input.enough));
  await shown(page, "3 views");
  return { reports, repeated, problems };
}));
