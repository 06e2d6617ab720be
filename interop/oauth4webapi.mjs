// oauth4webapi, which checks what servers answer by the letter: a client with a key, pushed requests, DPoP throughout.
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as oauth from 'oauth4webapi';
import { browser, check, initialize, mcpHeaders, refused, same, DIR, DOCS, ISSUER, REDIRECT, RESOURCE } from './check.mjs';

const local = { [oauth.allowInsecureRequests]: true };
const as = await check('discovery (RFC 8414)', async () => {
  const issuer = new URL(ISSUER);
  return oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...local }));
});
await check('protected resource metadata (RFC 9728)', async () => {
  for (const resource of [new URL(RESOURCE), new URL(ISSUER + '/api')]) {
    const m = await oauth.processResourceDiscoveryResponse(resource, await oauth.resourceDiscoveryRequest(resource, local));
    same(m.authorization_servers, [ISSUER], 'authorization_servers');
  }
});

const key = await oauth.generateKeyPair('ES256', { extractable: true });
const { kty, crv, x, y } = await crypto.subtle.exportKey('jwk', key.publicKey);
const kid = createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url');
writeFileSync(join(DIR, 'oauth4webapi.jwks'), JSON.stringify({ keys: [{ kty, crv, x, y, kid, use: 'sig', alg: 'ES256' }] }));
const client = { client_id: DOCS + '/app/oauth4webapi' };
const proves = oauth.PrivateKeyJwt({ key: key.privateKey, kid });
const bound = oauth.DPoP(client, await oauth.generateKeyPair('Ed25519'));
const other = oauth.DPoP(client, await oauth.generateKeyPair('ES256'));

// twice does what is asked for again with the nonce that the server gave, once.
async function twice(fn) {
  try {
    return await fn();
  } catch (e) {
    if (!oauth.isDPoPNonceError(e)) throw e;
    return fn();
  }
}

async function push(verifier, state, nonce, extra = {}) {
  const params = {
    response_type: 'code', redirect_uri: REDIRECT, scope: 'openid offline_access tool:notes:*', resource: RESOURCE, state, nonce,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', ...extra,
  };
  return twice(async () => oauth.processPushedAuthorizationResponse(as, client, await oauth.pushedAuthorizationRequest(as, client, proves, params, { DPoP: bound, ...local })));
}
function authorizationURL({ request_uri }) {
  const url = new URL(as.authorization_endpoint);
  url.search = new URLSearchParams({ client_id: client.client_id, request_uri });
  return url;
}
async function code() {
  const verifier = oauth.generateRandomCodeVerifier(), state = oauth.generateRandomState(), nonce = oauth.generateRandomNonce();
  const back = await browser(authorizationURL(await push(verifier, state, nonce)));
  return { verifier, nonce, params: oauth.validateAuthResponse(as, client, back, state) };
}
const redeem = (got, verifier = got.verifier, DPoP = bound, auth = proves) => twice(async () => {
  const res = await oauth.authorizationCodeGrantRequest(as, client, auth, got.params, REDIRECT, verifier, { DPoP, ...local });
  const out = await oauth.processAuthorizationCodeResponse(as, client, res, { expectedNonce: got.nonce, requireIdToken: true });
  await oauth.validateApplicationLevelSignature(as, res, local);
  return out;
});

await check('a pushed request (RFC 9126)', () => push(oauth.generateRandomCodeVerifier(), 's', 'n'));
await check('a refusal, with iss (RFC 9207)', async () => {
  const back = await browser(authorizationURL(await push(oauth.generateRandomCodeVerifier(), 'state-1', 'n')), 'refuse');
  await refused((async () => oauth.validateAuthResponse(as, client, back, 'state-1'))(), 'access_denied');
});
await check('plain PKCE is refused', () => refused(push(oauth.generateRandomCodeVerifier(), 's', 'n', { code_challenge_method: 'plain' }), 'invalid_request'));
await check('a resource that is none is refused (RFC 8707)', () => refused(push(oauth.generateRandomCodeVerifier(), 's', 'n', { resource: 'https://nobody.example' }), 'invalid_target'));
const first = await check('a code, with state and iss', code);
const tokens = await check('tokens bound to a key, and an ID token', () => redeem(first));
await check('what was granted', async () => {
  same(tokens.token_type, 'dpop', 'token_type');
  if (!tokens.refresh_token || !oauth.getValidatedIdTokenClaims(tokens)) throw new Error('no refresh token or no ID token');
});
await check('a wrong verifier is refused (RFC 7636)', async () => refused(redeem(await code(), oauth.generateRandomCodeVerifier()), 'invalid_grant'));
await check("another key than the pushed request's is refused (RFC 9449)", async () => {
  const got = await code();
  await refused(redeem(got, got.verifier, other), 'invalid_grant', 'invalid_dpop_proof');
});
await check('a client with a key does not come without', async () => refused(redeem(await code(), undefined, bound, oauth.None()), 'invalid_client', 'WWW-Authenticate'));

let seen;
const mcp = (token, DPoP = bound) => twice(() => oauth.protectedResourceRequest(token, 'POST', new URL(RESOURCE), new Headers(mcpHeaders), initialize, {
  DPoP, ...local, [oauth.customFetch]: (url, init) => { seen = { url, init }; return fetch(url, init); },
}));
await check('the MCP server is reached', async () => same((await mcp(tokens.access_token)).status, 200, 'status'));
await check('the token is one of RFC 9068, with its proof', async () => {
  const request = new Request(seen.url, { method: 'POST', headers: seen.init.headers });
  const claims = await oauth.validateJwtAccessToken(as, request, RESOURCE, { requireDPoP: true, signingAlgorithms: ['EdDSA', 'Ed25519'], ...local });
  same(claims.client_id, client.client_id, 'client_id');
});
await check('another key is refused by the MCP server', () => refused(mcp(tokens.access_token, other), 'WWW-Authenticate', 'invalid_dpop_proof', 'invalid_token'));

const introspect = async (token) => oauth.processIntrospectionResponse(as, client, await oauth.introspectionRequest(as, client, proves, token, local));
await check('introspection (RFC 7662)', async () => {
  const got = await introspect(tokens.access_token);
  same([got.active, got.token_type], [true, 'DPoP'], 'active, token_type');
});
const refresh = (token, DPoP = bound) => twice(async () => oauth.processRefreshTokenResponse(as, client, await oauth.refreshTokenGrantRequest(as, client, proves, token, { DPoP, ...local })));
const second = await check('a refresh', () => refresh(tokens.refresh_token));
await check('the MCP server is reached with the new token', async () => same((await mcp(second.access_token)).status, 200, 'status'));
await check('revocation (RFC 7009)', async () => {
  await oauth.processRevocationResponse(await oauth.revocationRequest(as, client, proves, second.refresh_token, local));
  same((await introspect(second.access_token)).active, false, 'active');
  await refused(refresh(second.refresh_token), 'invalid_grant');
});
