// SPDX-License-Identifier: Apache-2.0
//
// oidc-provider as it is: a real OpenID provider on loopback whose clients get JWTs for the
// audience that they ask for. Its issuer is named as it would be in the net, and writes its
// key set where the lab reads it. usage: provider.mjs READY-FILE JWKS-FILE
import { renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { generateKeyPairSync } from 'node:crypto';
import Provider from 'oidc-provider';

const issuer = 'https://idp.example';
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const key = { ...privateKey.export({ format: 'jwk' }), kid: 'idp-1', alg: 'RS256', use: 'sig' };
const { kty, n, e, kid, alg, use } = key;
writeFileSync(process.argv[3], JSON.stringify({ keys: [{ kty, n, e, kid, alg, use }] }));

const provider = new Provider(issuer, {
  clients: [{
    client_id: 'job', client_secret: 'job-secret', grant_types: ['client_credentials'],
    redirect_uris: [], response_types: [],
  }],
  jwks: { keys: [key] },
  extraTokenClaims: () => ({ job: 'nightly', sub: 'job' }),
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => 'https://nowhere.example',
      getResourceServerInfo: (ctx, resource) => ({
        scope: 'x', audience: resource, accessTokenFormat: 'jwt', accessTokenTTL: 300,
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
});
provider.proxy = true; // what ends TLS stands before it
const server = createServer(provider.callback());
server.listen(0, '127.0.0.1', () => {
  writeFileSync(`${process.argv[2]}.new`, String(server.address().port));
  renameSync(`${process.argv[2]}.new`, process.argv[2]);
});
