// Chromium, driven by lines of JSON on standard input; each is answered by one on standard output. The argument is the browser's program.
//
//	{"do":"open","page":"a"}                       a browser context of its own, with one page and one virtual authenticator (WebAuthn)
//	{"do":"authenticator","page":"a"}              a further authenticator; those before answer no more
//	{"do":"goto","page":"a","to":"http://…"}
//	{"do":"click" | "read" | "fill","page":"a","at":"selector","to":"text"}
//	{"do":"arrive","page":"a","to":"/passkey"}     waits until the page's path is that one
//	{"do":"cookies","page":"a"}                    those of the context
//	{"do":"shot","page":"a","to":"file.png"}
//	{"do":"problems"}                              what the pages complained of since they were last asked
//
// It ends, with the browser, when standard input does.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const profile = mkdtempSync(join(tmpdir(), 'attorn-chromium-'));
const browser = await chromium.launch({
  executablePath: process.argv[2],
  args: [
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
    '--disable-sync', `--crash-dumps-dir=${profile}`,
  ],
  env: { ...process.env, XDG_CONFIG_HOME: profile, XDG_CACHE_HOME: profile },
});

const pages = {};
const problems = [];

const authenticator = async (p) => {
  for (const authenticatorId of p.authenticators) {
    await p.cdp.send('WebAuthn.setAutomaticPresenceSimulation', { authenticatorId, enabled: false });
  }
  const { authenticatorId } = await p.cdp.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2', transport: p.authenticators.length === 0 ? 'internal' : 'usb', hasResidentKey: true, hasUserVerification: true, isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  p.authenticators.push(authenticatorId);
};

const verbs = {
  open: async ({ page: name }) => {
    const context = await browser.newContext({ viewport: { width: 1180, height: 860 } });
    context.setDefaultTimeout(15_000);
    const page = await context.newPage();
    page.on('console', (m) => ['error', 'warning'].includes(m.type()) && problems.push(`${name}: ${m.type()}: ${m.text()}`));
    page.on('pageerror', (e) => problems.push(`${name}: ${e}`));
    const cdp = await context.newCDPSession(page);
    await cdp.send('WebAuthn.enable');
    pages[name] = { context, page, cdp, authenticators: [] };
    await authenticator(pages[name]);
  },
  authenticator: ({ page: name }) => authenticator(pages[name]),
  goto: async ({ page: name, to }) => (await pages[name].page.goto(to)).status(),
  click: ({ page: name, at }) => pages[name].page.click(at),
  fill: ({ page: name, at, to }) => pages[name].page.fill(at, to),
  read: ({ page: name, at }) => pages[name].page.innerText(at),
  arrive: ({ page: name, to }) => pages[name].page.waitForURL((u) => u.pathname === to),
  cookies: async ({ page: name }) => pages[name].context.cookies(),
  shot: async ({ page: name, to }) => { await pages[name].page.screenshot({ path: to, fullPage: true }); },
  problems: () => problems.splice(0),
};

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  let reply;
  try {
    reply = { ok: (await verbs[command.do](command)) ?? null };
  } catch (e) {
    reply = { error: `${command.do} ${command.at ?? command.to ?? ''} on ${pages[command.page]?.page.url()}: ${e.message}` };
  }
  console.log(JSON.stringify(reply));
}
await browser.close();
rmSync(profile, { recursive: true, force: true });
