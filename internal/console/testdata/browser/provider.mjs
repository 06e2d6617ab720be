// An OpenID provider, by the certified oidc-provider, with a sign-in page of its own. Its settings are the argument, as JSON:
//
//	{"redirect": "…/callback", "secret": "…" or null, "alg": "RS256", "inToken": true, "users": {"noor": {"claims": {…}, "acr": "…", "amr": […]}}}
//
// It prints its issuer when it is ready, takes other users as lines of JSON on standard input, and ends when that does.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { Provider } from 'oidc-provider';

const settings = JSON.parse(process.argv[2]);
let { users } = settings;

const server = createServer();
await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
const issuer = `http://127.0.0.1:${server.address().port}`;

const pair = settings.alg === 'RS256' ? generateKeyPairSync('rsa', { modulusLength: 2048 }) : generateKeyPairSync('ed25519');
const provider = new Provider(issuer, {
  clients: [{
    client_id: 'attorn',
    client_secret: settings.secret ?? undefined,
    token_endpoint_auth_method: settings.secret ? 'client_secret_basic' : 'none',
    redirect_uris: [settings.redirect],
    response_types: ['code'],
    grant_types: ['authorization_code'],
    id_token_signed_response_alg: settings.alg,
    require_auth_time: true,
  }],
  jwks: { keys: [{ ...pair.privateKey.export({ format: 'jwk' }), use: 'sig', alg: settings.alg, kid: 'k1' }] },
  enabledJWA: { idTokenSigningAlgValues: ['RS256', 'EdDSA'] },
  cookies: { keys: ['a key of the test'] },
  conformIdTokenClaims: !settings.inToken,
  claims: { openid: ['sub', 'groups', 'acr', 'amr'], profile: ['name'], email: ['email', 'email_verified'] },
  features: { devInteractions: { enabled: false } },
  pkce: { required: () => true },
  interactions: { url: (_, interaction) => `/sign-in/${interaction.uid}` },
  ttl: { Session: 3600, Interaction: 600, Grant: 3600, IdToken: 300, AccessToken: 300, AuthorizationCode: 60 },
  findAccount: (_, sub) => users[sub] && { accountId: sub, claims: () => ({ sub, ...users[sub].claims }) },
  // Nobody is asked to consent: the provider is the organization's own.
  loadExistingGrant: async (ctx) => {
    const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
    grant.addOIDCScope('openid profile email');
    await grant.save();
    return grant;
  },
});

const page = (body) => `<!doctype html><html lang="en"><head><title>Acme sign-in</title><link rel="icon" href="data:,"></head><body><h1>Acme</h1>${body}</body></html>`;

const answer = provider.callback();
server.on('request', async (req, res) => {
  if (!req.url.startsWith('/sign-in/')) return answer(req, res);
  try {
    if (req.method === 'GET') {
      await provider.interactionDetails(req, res);
      res.setHeader('Content-Type', 'text/html; charset=utf-8');
      return res.end(page('<form method="post"><label>User <input name="user" autofocus></label> <button>Sign in</button></form>'));
    }
    let body = '';
    for await (const part of req) body += part;
    const user = new URLSearchParams(body).get('user');
    const result = users[user]
      ? { login: { accountId: user, acr: users[user].acr, amr: users[user].amr } }
      : { error: 'access_denied', error_description: 'nobody of that name' };
    return await provider.interactionFinished(req, res, result, { mergeWithLastSubmission: false });
  } catch (e) {
    res.statusCode = 500;
    return res.end(page(String(e)));
  }
});

const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => {
  users = JSON.parse(line);
  console.log('changed');
});
lines.on('close', () => process.exit(0));
console.log(issuer);
