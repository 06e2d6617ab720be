// What the scripts share: each thing that a client does is a line, and a person's browser is somewhere else.

export const { HOW, ISSUER, RESOURCE, DOCS, REDIRECT, DIR } = process.env;

// check runs fn and prints how it went; what it returns is returned, and what comes after it does not run where it fails, unless it is to go on.
export async function check(name, fn, goOn) {
  try {
    const out = await fn();
    console.log('ok ' + name);
    return out;
  } catch (e) {
    const why = [e?.error, e?.error_description, e?.code, e?.cause?.body && JSON.stringify(e.cause.body), e?.message ?? String(e)].filter(Boolean).join(', ');
    console.log(`not ok ${name}: ${why.replaceAll(/\s+/g, ' ')}`);
    if (!goOn) process.exit(0);
  }
}

export function same(got, want, what) {
  if (JSON.stringify(got) !== JSON.stringify(want)) throw new Error(`${what} is ${JSON.stringify(got)}, not ${JSON.stringify(want)}`);
}

// refused demands that a promise fails with one of these OAuth errors.
export async function refused(promise, ...errors) {
  let out;
  try {
    out = await promise;
  } catch (e) {
    const got = e?.error ?? e?.cause?.error ?? e?.message ?? String(e);
    if (errors.includes(got) || errors.some((want) => e?.message?.includes(want))) return;
    throw new Error(`refused with ${got}, not ${errors.join(' or ')}`);
  }
  throw new Error('not refused: ' + JSON.stringify(out));
}

// browser sends the person's browser to an authorization request, and returns the address at which it comes back.
export async function browser(url, verdict = 'allow') {
  const res = await fetch(`${DOCS}/browser?verdict=${verdict}`, { method: 'POST', body: String(url) });
  const text = await res.text();
  if (!res.ok) throw new Error(text);
  return new URL(text);
}

export const initialize = JSON.stringify({
  jsonrpc: '2.0', id: 1, method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'interop', version: '1' } },
});
export const mcpHeaders = { 'Content-Type': 'application/json', Accept: 'application/json, text/event-stream' };
