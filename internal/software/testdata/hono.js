// Hono on Node: NODE_PATH=node_modules node hono.js PORT KEEP-ALIVE-TIMEOUT-IN-MS.
const { serve } = require('@hono/node-server');
const { Hono } = require('hono');
const [port, keepAliveTimeout] = process.argv.slice(2).map(Number);
const app = new Hono();
app.get('/', (c) => c.text('hello\n'));
serve({ fetch: app.fetch, port, hostname: '127.0.0.1', serverOptions: { keepAliveTimeout } });
process.on('SIGTERM', () => process.exit(0));
