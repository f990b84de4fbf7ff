// An OpenID provider that others wrote (npm oidc-provider), on loopback, as tests want it.
//
// Prints {"issuer": URL} and serves until its input ends. Tokens are had from it as from any other:
// clients `NAME` with the secret `NAME-secret` get them by client_credentials, people `NAME` by the
// authorization code, with any password. A name says what its tokens are:
//
//    ann, svc-ann         vsphere-super-admins      NAME.es256, .eddsa    signed so, otherwise by RS256
//    ron, svc-ron         vsphere-readers           NAME.opaque           not a JWT, to be introspected
//    nob, svc-nob         no group
//
// What an issuer would never sign, and what it does only now and then, is asked for by lines of JSON on
// standard input, each answered by a line: {"forge": claims, "header": {}} signs by the current key of
// header.alg; {"rotate": true} makes new keys and publishes them alone; {"asked": true} tells how often
// its keys and its document were asked for. Loaded from the node_modules of tests/peers/install.

import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { createInterface } from 'node:readline';

const modules = process.argv[2]; // a folder with node_modules
const load = (name) => import(pathToFileURL(createRequire(`${modules}/x.js`).resolve(name)));
const { Provider } = await load('oidc-provider');
const jose = await load('jose');

const GROUPS = { ann: ['vsphere-super-admins', 'staff'], ron: ['vsphere-readers'], nob: [] };
const ALGORITHMS = { es256: 'ES256', eddsa: 'EdDSA' };
const groups = (name) => GROUPS[name.replace(/^svc-/, '').replace(/\..*/, '')] ?? [];
const kind = (name) => name.split('.')[1];
const SCOPES = 'openid groups';

const asked = {};
let keys = {}, turn = 0, serve;

async function fresh() {
  turn += 1;
  keys = {};
  for (const alg of ['RS256', 'ES256', 'EdDSA']) {
    const { privateKey } = await jose.generateKeyPair(alg, { extractable: true });
    keys[alg] = { ...(await jose.exportJWK(privateKey)), alg, use: 'sig', kid: `${alg}-${turn}` };
  }
}

const clients = Object.keys(GROUPS).flatMap((name) => ['', '.es256', '.eddsa', '.opaque'].map((more) => ({
  client_id: `svc-${name}${more}`,
  client_secret: `svc-${name}${more}-secret`,
  grant_types: ['client_credentials'],
  redirect_uris: [],
  response_types: [],
})));
clients.push({ client_id: 'the-server', client_secret: 'the-server-secret', grant_types: [], redirect_uris: [], response_types: [] });

function provider(issuer) {
  const it = new Provider(issuer, {
    clients,
    jwks: { keys: Object.values(keys) },
    cookies: { keys: ['only for tests'] },
    scopes: SCOPES.split(' '),
    claims: { openid: ['sub'], groups: ['groups'] },
    ttl: { ClientCredentials: 300, AccessToken: 300, Grant: 300, Session: 300, Interaction: 300 },
    features: {
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      registration: { enabled: true },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        // Whatever is asked for: whether a token is meant for him must be judged by who gets it.
        getResourceServerInfo: (ctx, resource, client) => {
          const ends = kind(client.clientId);
          return {
            scope: SCOPES,
            audience: resource,
            accessTokenTTL: 300,
            accessTokenFormat: ends === 'opaque' ? 'opaque' : 'jwt',
            jwt: { sign: { alg: ALGORITHMS[ends] ?? 'RS256' } },
          };
        },
      },
    },
    clientDefaults: { id_token_signed_response_alg: 'RS256' },
    extraTokenClaims: (ctx, token) => {
      const name = token.accountId ?? token.clientId;
      const more = { groups: groups(name), preferred_username: `${name}@example.com` };
      // Introspection tells no `sub` of a client's own token by itself, which the server wants.
      return kind(name) === 'opaque' ? { ...more, sub: name } : more;
    },
    findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id, groups: groups(id) }) }),
  });
  it.on('server_error', (ctx, error) => console.error(error));
  return it.callback();
}

const server = createServer((request, response) => {
  const path = request.url.split('?')[0];
  asked[path] = (asked[path] ?? 0) + 1;
  serve(request, response);
});
await new Promise((done) => server.listen(0, '127.0.0.1', done));
const issuer = `http://127.0.0.1:${server.address().port}`;
await fresh();
serve = provider(issuer);
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
say({ issuer });

for await (const line of createInterface({ input: process.stdin })) {
  const wish = JSON.parse(line);
  if (wish.forge) {
    const alg = wish.header?.alg ?? 'RS256';
    const key = await jose.importJWK(keys[alg], alg);
    const header = { typ: 'at+jwt', kid: keys[alg].kid, ...wish.header, alg };
    say({ token: await new jose.SignJWT(wish.forge).setProtectedHeader(header).sign(key) });
  } else if (wish.rotate) {
    await fresh();
    serve = provider(issuer);
    say({ keys: Object.values(keys).map((key) => key.kid) });
  } else {
    say({ asked });
  }
}
process.exit(0);
