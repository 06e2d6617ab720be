// Chromium, driven by lines of JSON on standard input; each is answered by one on standard output. The argument is the browser's program.
//
//	{"do":"open","page":"a"}                       a browser context of its own, with one page and one virtual authenticator (WebAuthn);
//	                                               with "js":"off" without JavaScript; with "beside":"b" a further tab of b's browser, without authenticator
//	{"do":"authenticator","page":"a"}              a further authenticator; those before answer no more
//	{"do":"goto","page":"a","to":"http://…"}
//	{"do":"back","page":"a"}
//	{"do":"frames","page":"a"}                     what the page and the frames in it say
//	{"do":"click" | "read" | "fill","page":"a","at":"selector","to":"text"}
//	{"do":"size","page":"a","to":"320x700"}
//	{"do":"theme","page":"a","to":"dark"}
//	{"do":"press","page":"a","to":"Tab"}             a key; the answer is what then has the focus: its tag, id, name, value and text
//	{"do":"overflow","page":"a"}                   by how many pixels the page is wider than its window
//	{"do":"unlabelled","page":"a"}                 what has no name for who cannot see it, or stands outside the landmarks
//	{"do":"arrive","page":"a","to":"/passkey"}     waits until the page's path is that one
//	{"do":"tamper","page":"a","at":"**/propose","to":"one=>other"}    has the statement in the next such answer changed, with the challenge that goes with it
//	{"do":"session","page":"a","at":"http://…","to":"secret"}    the cookie of somebody who signed in elsewhere
//	{"do":"cookies","page":"a"}                    those of the context
//	{"do":"shot","page":"a","to":"file.png"}
//	{"do":"problems"}                              what the pages complained of since they were last asked
//
// It ends, with the browser, when standard input does.
import { createHash } from 'node:crypto';
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
  open: async ({ page: name, js, beside }) => {
    if (beside) { // a further tab
      pages[name] = { ...pages[beside], page: await pages[beside].context.newPage() };
      pages[name].cdp = await pages[name].context.newCDPSession(pages[name].page);
      await pages[name].cdp.send('WebAuthn.enable');
      return;
    }
    const context = await browser.newContext({ viewport: { width: 1180, height: 860 }, javaScriptEnabled: js !== 'off' });
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
  back: async ({ page: name }) => { await pages[name].page.goBack(); },
  frames: ({ page: name }) => Promise.all(pages[name].page.frames().map((f) => f.locator('body').innerText().catch(() => ''))),
  click: ({ page: name, at }) => pages[name].page.click(at),
  fill: ({ page: name, at, to }) => pages[name].page.fill(at, to),
  read: ({ page: name, at }) => pages[name].page.innerText(at),
  size: ({ page: name, to }) => {
    const [width, height] = to.split('x').map(Number);
    return pages[name].page.setViewportSize({ width, height });
  },
  theme: ({ page: name, to }) => pages[name].page.emulateMedia({ colorScheme: to }),
  press: async ({ page: name, to }) => {
    await pages[name].page.keyboard.press(to);
    return pages[name].page.evaluate(() => {
      const e = document.activeElement;
      return [e.tagName.toLowerCase(), e.id, e.name ?? '', e.value ?? '', e.textContent.trim().slice(0, 40)].join(' ');
    }).catch(() => ''); // the key led to another page
  },
  overflow: ({ page: name }) => pages[name].page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth),
  unlabelled: ({ page: name }) => pages[name].page.evaluate(() => {
    const shown = (e) => e.getClientRects().length > 0;
    const all = [];
    for (const e of document.querySelectorAll('input:not([type=hidden]),select,textarea')) if (shown(e) && e.labels.length === 0) all.push('no label: ' + e.outerHTML);
    for (const e of document.querySelectorAll('button,a,summary')) if (shown(e) && !(e.getAttribute('aria-label') || e.textContent).trim()) all.push('no name: ' + e.outerHTML);
    for (const e of document.querySelectorAll('fieldset')) if (!e.querySelector(':scope > legend')) all.push('no legend: ' + e.outerHTML.slice(0, 80));
    for (const e of document.querySelectorAll('[aria-labelledby],[aria-describedby],label[for]')) {
      for (const id of [e.getAttribute('aria-labelledby'), e.getAttribute('aria-describedby'), e.getAttribute('for')].filter(Boolean).join(' ').split(' ').filter(Boolean)) {
        if (!document.getElementById(id)) all.push('nothing has the id ' + id);
      }
    }
    const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
    for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) all.push('twice: ' + id);
    if (document.querySelectorAll('main').length !== 1) all.push('there is not one main');
    if (document.querySelectorAll('h1').length !== 1) all.push('there is not one h1');
    for (const e of document.querySelectorAll('button,select,input:not([type=hidden]),summary,.btn')) {
      const { width, height } = e.getBoundingClientRect();
      const box = e.closest('label')?.getBoundingClientRect();
      if (shown(e) && !e.ariaHidden && Math.max(height, box?.height ?? 0) < 24) all.push('too small: ' + width + 'x' + height + ' ' + e.outerHTML.slice(0, 80));
    }
    return all;
  }),
  arrive: ({ page: name, to }) => pages[name].page.waitForURL((u) => u.pathname === to),
  tamper: ({ page: name, at, to }) => pages[name].page.route(at, async (route) => {
    const answer = await route.fetch();
    const body = await answer.json();
    const [one, other] = to.split('=>');
    if (!body.statement.includes(one)) problems.push(`${name}: ${one} is not in ${body.statement}`);
    body.statement = body.statement.replace(one, other);
    body.options.challenge = createHash('sha256').update(body.statement).digest('base64url');
    await route.fulfill({ response: answer, json: body });
  }, { times: 1 }),
  session: ({ page: name, at, to }) => pages[name].context.addCookies([{ name: 'attorn-dev', value: to, url: at, httpOnly: true, sameSite: 'Lax' }]),
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
