// openid-client: discovery by OpenID Connect, a client without a secret, with DPoP and then without.
import * as client from 'openid-client';
import { browser, check, initialize, mcpHeaders, refused, same, DOCS, ISSUER, REDIRECT, RESOURCE } from './check.mjs';

const local = { execute: [client.allowInsecureRequests] };
const config = await check('discovery (OpenID Connect)', async () => {
  const c = await client.discovery(new URL(ISSUER), DOCS + '/app/openid-client', undefined, client.None(), local);
  client.enableNonRepudiationChecks(c); // the ID token's signature, by the server's keys
  return c;
});
const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair('Ed25519'));

async function flow(options, extra = {}) {
  const pkceCodeVerifier = client.randomPKCECodeVerifier(), expectedState = client.randomState(), expectedNonce = client.randomNonce();
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: REDIRECT, scope: 'openid offline_access tool:notes:*', resource: RESOURCE, state: expectedState, nonce: expectedNonce,
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier), code_challenge_method: 'S256', ...extra,
  });
  const back = await browser(url);
  return client.authorizationCodeGrant(config, back, { pkceCodeVerifier, expectedState, expectedNonce, idTokenExpected: true, ...(extra.max_age ? { maxAge: Number(extra.max_age) } : {}) }, undefined, options);
}
const mcp = (token, options) => client.fetchProtectedResource(config, token, new URL(RESOURCE), 'POST', initialize, new Headers(mcpHeaders), options);

const bound = await check('code, PKCE and DPoP', () => flow({ DPoP }));
await check('the ID token', async () => {
  const claims = bound.claims();
  same([claims.iss, claims.aud, claims.sub.startsWith('usr_')], [ISSUER, DOCS + '/app/openid-client', true], 'iss, aud, sub');
});
await check('the ID token says when the person signed in, where max_age asks', () => flow({ DPoP }, { max_age: '3600' }));
await check('prompt=none is answered with consent_required', () => refused(flow({ DPoP }, { prompt: 'none' }), 'consent_required'));
await check('the MCP server is reached', async () => same((await mcp(bound.access_token, { DPoP })).status, 200, 'status'));
await check('the bound token is refused as a bearer token', () => refused(mcp(bound.access_token), 'WWW-Authenticate', 'invalid_token'));
const again = await check('a refresh', () => client.refreshTokenGrant(config, bound.refresh_token, undefined, { DPoP }));
await check('revocation', async () => {
  await client.tokenRevocation(config, again.refresh_token);
  await refused(client.refreshTokenGrant(config, again.refresh_token, undefined, { DPoP }), 'invalid_grant');
});

await check("a key of the library's default algorithm", async () => flow({ DPoP: client.getDPoPHandle(config, await client.randomDPoPKeyPair()) }), 'go on');

const bearer = await check('code and PKCE, without DPoP', () => flow());
await check('the MCP server is reached with a bearer token', async () => same((await mcp(bearer.access_token)).status, 200, 'status'));
await check('a refresh without DPoP', () => client.refreshTokenGrant(config, bearer.refresh_token));

const registered = await check('registration (RFC 7591)', () => client.dynamicClientRegistration(new URL(ISSUER), {
  client_name: 'openid-client', redirect_uris: [REDIRECT], token_endpoint_auth_method: 'none', grant_types: ['authorization_code', 'refresh_token'],
}, client.None(), local));
await check('a registered client', async () => same(registered.clientMetadata().client_id.startsWith('app_'), true, 'that its client_id is app_'));
