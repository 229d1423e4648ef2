// Node's HTTP server: node node.js PORT KEEP-ALIVE-TIMEOUT-IN-MS.
const [port, idle] = process.argv.slice(2).map(Number);
const server = require('node:http').createServer((request, response) => response.end('hello\n'));
server.keepAliveTimeout = idle;
server.listen(port, '127.0.0.1');
process.on('SIGTERM', () => process.exit(0));
