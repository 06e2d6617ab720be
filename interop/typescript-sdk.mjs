// The TypeScript MCP SDK, version 1.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { auth, UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { run } from './typescript.mjs';

await run({ Client, StreamableHTTPClientTransport, auth, UnauthorizedError }, 'typescript-sdk', (transport, back) => transport.finishAuth(back.get('code')));
process.exit(0); // its sessions would stay open
