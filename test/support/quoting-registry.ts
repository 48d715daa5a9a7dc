import type { IncomingMessage } from 'node:http';

import type { Answer } from './scripted-server.ts';

/** A registry whose errors quote the login that it was sent: `json/app:1` in its own format, `text/app:1` in another. */
export function quotingRegistry(): Readonly<Record<string, Answer>> {
  const quote: Answer = (request, response) => {
    const { header, encoded, decoded } = loginIn(request);
    const detail = { header, decoded, padding: 'x'.repeat(430), again: decoded.replace(/^[^:]*:/, '') };
    const errors = [{ code: 'DENIED', message: `no access with ${encoded} or ${decoded}`, detail }];
    response.writeHead(403, { 'Content-Type': 'application/json' }).end(JSON.stringify({ errors }));
  };
  const quoteText: Answer = (request, response) => {
    const { header, decoded } = loginIn(request);
    // So long that the password is where errors are cut off.
    response.writeHead(500).end(`<p>${'x'.repeat(470)} ${decoded} ${header}</p>`);
  };
  const ping: Answer = ({ headers }, response) => {
    const isKnown = headers.authorization !== undefined;
    response.writeHead(isKnown ? 200 : 401, { 'WWW-Authenticate': 'Basic realm="quoting"' }).end('{}');
  };
  return {
    'GET /v2/': ping,
    'GET /v2/json/app/manifests/1': quote,
    'HEAD /v2/json/app/manifests/1': quote,
    'GET /v2/text/app/manifests/1': quoteText,
    'HEAD /v2/text/app/manifests/1': quoteText,
  };
}

function loginIn({ headers }: IncomingMessage): { header: string; encoded: string; decoded: string } {
  const { authorization: header = '' } = headers;
  const encoded = header.replace(/^Basic /, '');
  return { header, encoded, decoded: Buffer.from(encoded, 'base64').toString('utf8') };
}
