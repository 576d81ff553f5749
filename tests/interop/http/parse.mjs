// SPDX-License-Identifier: Apache-2.0
//
// What Node's server (llhttp) makes of requests: messages on standard input as heads.c has them,
// for each a line of JSON on standard output.
import http from 'node:http';
import { Duplex } from 'node:stream';

const hex = (text) => Buffer.from(text, 'latin1').toString('hex');
const server = http.createServer({ maxHeaderSize: 1 << 20, requireHostHeader: true });
server.maxHeadersCount = 2000;

function see(socket, request) {
  const headers = [];
  for (let i = 0; i < request.rawHeaders.length; i += 2)
    headers.push([hex(request.rawHeaders[i]), hex(request.rawHeaders[i + 1])]);
  const seen = { method: hex(request.method), target: hex(request.url), headers, body: '', done: false,
    minor: request.httpVersionMinor };
  socket.seen.push(seen);
  return seen;
}
function serve(request, response) {
  const seen = see(request.socket, request);
  request.on('data', (bytes) => { seen.body += bytes.toString('hex'); });
  request.on('end', () => { seen.done = true; response.end(); });
  request.on('error', () => {});
}
server.on('request', serve);
server.on('checkContinue', serve);
server.on('connect', (request, socket, rest) => {
  const seen = see(socket, request);
  seen.done = true;
  socket.rest = rest.toString('hex');
  socket.destroy();
});
server.on('clientError', (error, socket) => {
  socket.failed = error.code;
  socket.destroy();
});

function one(bytes) {
  return new Promise((resolve) => {
    const socket = new Duplex({ read() {}, write(chunk, encoding, done) { done(); } });
    const timer = setTimeout(() => { socket.failed = 'stuck'; socket.destroy(); }, 5000);
    Object.assign(socket, { seen: [], failed: null, rest: '' });
    socket.on('error', () => {});
    socket.on('close', () => {
      clearTimeout(timer);
      resolve({ seen: socket.seen, failed: socket.failed, rest: socket.rest });
    });
    server.emit('connection', socket);
    socket.push(bytes);
    socket.push(null);
  });
}

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const input = Buffer.concat(chunks);
const out = [JSON.stringify(http.METHODS)];
for (let at = 0; at < input.length;) {
  const n = input.readUInt32BE(at + 1);
  out.push(JSON.stringify(await one(input.subarray(at + 5, at + 5 + n))));
  at += 5 + n;
}
process.stdout.write(`${out.join('\n')}\n`, () => process.exit(0));
