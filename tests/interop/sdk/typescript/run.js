// SPDX-License-Identifier: Apache-2.0
//
// The TypeScript SDK's signer on the requests of generate.py.
//
// usage: node run.js KEY PORT <requests >signed
//
// Each request is signed and sent by the SDK's own HTTP client (FetchHttpClient). Every host
// is at 127.0.0.1:PORT (wire.py). Prints {"case", "string"} for each, the string that it
// signed, or {"case", "error"}.
'use strict';
const fs = require('fs');
const net = require('net');
const readline = require('readline');
const httpSignature = require('http-signature');
const common = require('oci-common');
const { FetchHttpClient } = require('oci-common/lib/http');

const [key, port] = process.argv.slice(2);

// fetch() connects by net.connect: every host is the recorder.
const connect = net.connect;
net.connect = (options) => connect({ ...options, host: '127.0.0.1', port: Number(port) });

// The SDK's request has no place for the string; http-signature fills one that is there.
let last;
const plain = httpSignature.sign;
httpSignature.sign = (request, options) => {
  request._stringToSign = '';
  const result = plain(request, options);
  last = request._stringToSign;
  return result;
};

const provider = new common.SimpleAuthenticationDetailsProvider(
  'tenancy', 'user', 'fingerprint', fs.readFileSync(key, 'utf8'), null);
provider.getKeyId = () => Promise.resolve('ST$the.session.token');
const client = new FetchHttpClient(new common.DefaultRequestSigner(provider));

async function send(r) {
  const headers = new Headers(r.headers);
  // A date of the caller's is x-date here: fetch() lets nobody set Date.
  if (headers.has('date')) {
    headers.set('x-date', headers.get('date'));
    headers.delete('date');
  }
  headers.set('x-case', String(r.case));
  last = undefined;
  try {
    const body = r.body === null ? undefined : r.body.repeat(r.times);
    await client.send({ method: r.method, uri: r.url, headers, body }, r.upload);
  } catch (e) {
    return { case: r.case, error: `${e.name}: ${e.message}${e.cause ? ` (${e.cause})` : ''}` };
  }
  return { case: r.case, string: last };
}

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await send(JSON.parse(line))));
  }
  process.exit(0);
})();
