// The npm package ws, with its native addition for masks: [--deflate off|shared|own] [--tls CERT KEY].
// Listens on a free port of 127.0.0.1, prints it, and sends back what comes.
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { readFileSync } from 'node:fs';
import { WebSocketServer } from 'ws';

const words = process.argv.slice(2);
let perMessageDeflate = false;
let server;
while (words.length > 0) {
  const word = words.shift();
  if (word === '--deflate') {
    const how = words.shift();
    if (how === 'shared') {
      perMessageDeflate = { serverNoContextTakeover: true, clientNoContextTakeover: true, threshold: 0 };
    } else if (how === 'own') {
      perMessageDeflate = { threshold: 0 };
    }
  } else if (word === '--tls') {
    const [cert, key] = [words.shift(), words.shift()].map((path) => readFileSync(path));
    server = createTlsServer({ cert, key });
  } else {
    console.error(`not understood: ${word}`);
    process.exit(2);
  }
}
server ??= createServer();

// Bytes. Larger than any message of the benchmarks.
const maxPayload = 64 * 1024 * 1024;
new WebSocketServer({ server, perMessageDeflate, maxPayload }).on('connection', (socket) => {
  socket.on('message', (message, isBinary) => socket.send(message, { binary: isBinary }));
  // The load generator breaks off at its end.
  socket.on('error', () => {});
});
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => console.log(`listening ${server.address().port}`));
