// Each run is one player with one video, in the browser asked for: `{ browser, runs: [{ call, … }] }`. A run that fails says why.
import { openSite } from "../players/site.mjs";
import { input, print, withPage as withChromium } from "./chromium.mjs";
import { withPage as withFirefox } from "./firefox.mjs";

const withPage = { chromium: withChromium, firefox: withFirefox }[input.browser];
const site = await openSite();
try {
  print(await withPage(async (page, problems) => {
    await page.goto(site.address);
    const results = [];
    for (const { call, ...rest } of input.runs) {
      const told = await page.evaluate(
        ([call, rest]) => window[call](rest).catch((error) => ({ failed: String(error), stack: error.stack })), [call, rest]);
      results.push(told);
    }
    return { results, problems };
  }));
} finally {
  site.close();
}
