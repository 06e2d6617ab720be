// What the two TypeScript MCP SDKs have in common: a client that discovers, registers or says its client_id, and is authorized, by the SDK's own code.
import { browser, check, refused, same, DOCS, HOW, REDIRECT, RESOURCE } from './check.mjs';

// run is all that a client does. finish takes what came back to the transport; dpop is a session of the SDK's that signs proofs, or none.
export async function run({ Client, StreamableHTTPClientTransport, auth, UnauthorizedError }, name, finish, dpop) {
  const store = {};
  let asked;
  const provider = {
    redirectUrl: REDIRECT,
    clientMetadata: {
      client_name: name, redirect_uris: [REDIRECT], grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'], token_endpoint_auth_method: 'none',
    },
    state: () => (store.state = crypto.randomUUID()),
    // The SDK takes only https for a metadata document's address, so it is told as if it had been registered before.
    clientInformation: () => store.client ?? (HOW.startsWith('document') ? { client_id: DOCS + '/app/' + name } : undefined),
    saveClientInformation: (c) => { store.client = c; },
    tokens: () => store.tokens,
    saveTokens: (t) => { store.tokens = t; },
    redirectToAuthorization: (url) => { asked = url; },
    saveCodeVerifier: (v) => { store.verifier = v; },
    codeVerifier: () => store.verifier,
    ...(dpop ? { dpop: () => dpop } : {}),
    invalidateCredentials: (what) => { if (what === 'all' || what === 'tokens') delete store.tokens; },
  };

  const transport = () => new StreamableHTTPClientTransport(new URL(RESOURCE), { authProvider: provider });
  async function session() {
    const client = new Client({ name, version: '1' });
    await client.connect(transport());
    return client;
  }
  async function echo(client) {
    const got = await client.callTool({ name: 'echo', arguments: { text: 'hi' } });
    same(got.content?.[0]?.text, 'hi', 'what the tool says');
  }

  const first = transport();
  await check('is sent to the authorization endpoint', async () => {
    try {
      await new Client({ name, version: '1' }).connect(first);
    } catch (e) {
      if (!(e instanceof UnauthorizedError)) throw e;
      same(asked.searchParams.get('resource'), RESOURCE, 'resource');
      same(asked.searchParams.get('code_challenge_method'), 'S256', 'code_challenge_method');
      return;
    }
    throw new Error('it was let in without a token');
  });
  await check('hears that the person refuses', async () => {
    const back = await browser(asked, 'refuse');
    same(back.searchParams.get('error'), 'access_denied', 'error');
    same(back.searchParams.get('state'), store.state, 'state');
  });
  await check('is authorized', async () => {
    same(await auth(provider, { serverUrl: RESOURCE }), 'REDIRECT', 'result');
    const back = await browser(asked);
    same(back.searchParams.get('state'), store.state, 'state');
    await finish(first, back.searchParams);
    same(store.tokens.token_type.toLowerCase(), dpop ? 'dpop' : 'bearer', 'token_type');
  });
  const client = await check('connects', session);
  await check('lists tools', async () => same((await client.listTools()).tools.map((t) => t.name), ['echo'], 'tools'));
  await check('calls a tool', () => echo(client));
  const old = store.tokens;
  await check('refreshes', async () => {
    same(await auth(provider, { serverUrl: RESOURCE }), 'AUTHORIZED', 'result');
    if (store.tokens.access_token === old.access_token || store.tokens.refresh_token === old.refresh_token) throw new Error('the same tokens');
  });
  const again = await check('connects with the new token', session);
  await check('calls a tool with the new token', () => echo(again));
  const latest = store.tokens;
  await check('begins anew where a refresh token was used twice', async () => {
    store.tokens = old;
    same(await auth(provider, { serverUrl: RESOURCE }), 'REDIRECT', 'result');
  });
  store.tokens = latest;
  if (dpop) {
    await check('keeps what it has, for with the same key at once that is a mistake and no theft', () => echo(again));
  } else {
    await check('loses all that descends from it by that', () => refused(echo(again), 'Unauthorized', 'was revoked', 'no such session'));
  }
}
