/** Serves the web export on the loopback address: every path that is no file is the app. */
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';

const TYPES: Readonly<Record<string, string>> = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.png': 'image/png', '.ttf': 'font/ttf', '.json': 'application/json', '.ico': 'image/x-icon' };

export interface Served {
  readonly url: string;
  close(): Promise<void>;
}

export async function serve(root: string): Promise<Served> {
  const index = await readFile(path.join(root, 'index.html'));
  const server = createServer((request, response) => {
    const wanted = path.normalize(decodeURIComponent(new URL(request.url ?? '/', 'http://localhost').pathname));
    readFile(path.join(root, wanted)).then(
      (file) => response.writeHead(200, { 'content-type': TYPES[path.extname(wanted)] ?? 'application/octet-stream' }).end(file),
      () => response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(index),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
