// A headless Firefox ESR, driven over WebDriver BiDi. It needs no display and calls nobody.
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { openWebSocket } from "./websocket.mjs";

// Muted videos may start by themselves; nothing is updated, reported or asked for.
const PREFERENCES = {
  "media.autoplay.default": 0,
  "media.autoplay.blocking_policy": 0,
  "media.gmp-manager.updateEnabled": false,
  "media.gmp-provider.enabled": false,
  "app.normandy.enabled": false,
  "app.update.disabledForTesting": true,
  "browser.newtabpage.enabled": false,
  "browser.region.network.url": "",
  "browser.safebrowsing.blockedURIs.enabled": false,
  "browser.safebrowsing.downloads.enabled": false,
  "browser.safebrowsing.malware.enabled": false,
  "browser.safebrowsing.phishing.enabled": false,
  "browser.search.update": false,
  "browser.shell.checkDefaultBrowser": false,
  "browser.startup.page": 0,
  "browser.topsites.contile.enabled": false,
  "datareporting.policy.dataSubmissionEnabled": false,
  "dom.push.connection.enabled": false,
  "extensions.getAddons.cache.enabled": false,
  "extensions.systemAddon.update.enabled": false,
  "extensions.update.enabled": false,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "services.settings.server": "data:,#remote-settings-dummy/v1",
  "toolkit.telemetry.enabled": false,
  "toolkit.telemetry.unified": false,
};

/** Opens a page, gives it to `use` with what its console complains of, and closes everything. */
export async function withPage(use) {
  const profile = await mkdtemp(join(tmpdir(), "firefox-"));
  const lines = Object.entries(PREFERENCES).map(([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});`);
  await writeFile(join(profile, "user.js"), lines.join("\n"));
  const firefox = spawn("firefox-esr", ["--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0"],
    { stdio: ["ignore", "ignore", "pipe"], env: { ...process.env, HOME: profile, MOZ_CRASHREPORTER_DISABLE: "1" } });
  const exited = new Promise((resolve) => firefox.once("exit", resolve));
  try {
    const session = await Session.open(await addressOf(firefox));
    try {
      return await use(session.page, session.problems);
    } finally {
      await session.close();
    }
  } finally {
    firefox.kill();
    await exited;
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** The address that Firefox says it listens on. */
function addressOf(firefox) {
  const said = [];
  return new Promise((resolve, reject) => {
    createInterface({ input: firefox.stderr }).on("line", (line) => {
      said.push(line);
      const found = /^WebDriver BiDi listening on (ws:\S+)/.exec(line);
      if (found) resolve(found[1]);
    });
    firefox.once("error", reject);
    firefox.once("exit", (code) => reject(new Error(`Firefox ended with ${code}: ${said.join("\n")}`)));
  });
}

/** A session of WebDriver BiDi with one page. */
class Session {
  problems = [];
  #waiting = new Map();
  #last = 0;

  static async open(address) {
    const session = new Session();
    session.socket = await openWebSocket(`${address}/session`, (text) => session.#receive(JSON.parse(text)));
    session.socket.ended.then(() => session.#waiting.forEach(({ reject }) => reject(new Error("Firefox went away"))));
    await session.command("session.new", { capabilities: {} });
    const { contexts } = await session.command("browsingContext.getTree", {});
    session.context = contexts[0].context;
    await session.command("session.subscribe", { events: ["log.entryAdded"], contexts: [session.context] });
    session.page = { goto: (url) => session.goto(url), evaluate: (run, input) => session.evaluate(run, input) };
    return session;
  }

  #receive({ type, id, result, error, message, method, params }) {
    if (type === "event") {
      if (method === "log.entryAdded" && params.level === "error") this.problems.push(params.text);
      return;
    }
    const { resolve, reject } = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (type === "success") resolve(result);
    else reject(new Error(`${error}: ${message}`));
  }

  command(method, params) {
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.socket.send(JSON.stringify({ id, method, params }));
    });
  }

  goto(url) {
    return this.command("browsingContext.navigate", { context: this.context, url, wait: "complete" });
  }

  /** Runs a function of one argument in the page; what goes in and out is JSON. */
  async evaluate(run, input) {
    const answer = await this.command("script.callFunction", {
      functionDeclaration: `async (input) => JSON.stringify(await (${run})(JSON.parse(input)))`,
      arguments: [{ type: "string", value: JSON.stringify(input) }],
      target: { context: this.context },
      awaitPromise: true,
    });
    if (answer.type !== "success") throw new Error(answer.exceptionDetails.text);
    return JSON.parse(answer.result.value);
  }

  async close() {
    await this.command("browser.close", {});
    await this.socket.close();
  }
}
