// Node's HTTP server: node node.js PORT KEEP-ALIVE-TIMEOUT-IN-MS [CERTIFICATE KEY].
const fs = require('node:fs');
const [port, idle, cert, key] = process.argv.slice(2);
const respond = (request, response) => response.end('hello\n');
const server = cert
  ? require('node:https').createServer({ cert: fs.readFileSync(cert), key: fs.readFileSync(key) }, respond)
  : require('node:http').createServer(respond);
server.keepAliveTimeout = Number(idle);
server.listen(Number(port), '127.0.0.1');
process.on('SIGTERM', () => process.exit(0));
