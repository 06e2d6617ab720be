// The TypeScript MCP SDK, version 2: it compares iss (RFC 9207), and can bind its tokens (RFC 9449), with the algorithm that HOW names after a colon.
import * as sdk from '@modelcontextprotocol/client';
import { HOW } from './check.mjs';
import { run } from './typescript.mjs';

const [, alg] = HOW.split(':');
await run(sdk, 'typescript-client', (transport, back) => transport.finishAuth(back), alg && (await sdk.DpopSession.create({ alg })));
process.exit(0); // its sessions would stay open
