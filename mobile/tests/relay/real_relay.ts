/**
 * The real relay, started from this repository on a free port with everything it writes in a temporary directory; or a relay
 * that runs somewhere, named by SOTTOVOCE_RELAY_URL with a comma-separated list of invites in SOTTOVOCE_INVITES.
 */
import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

import type { RelayUnderTest } from './contract.ts';

const ROOT = path.resolve(import.meta.dirname, '../../..');
const UP_WITHIN_MS = 90_000; // the first start makes a database

export interface RealRelay extends RelayUnderTest {
  /** SIGKILL and a new start on the same port and data; only for a relay started here. */
  crash(): Promise<void>;
  /** SIGTERM, so that sessions hear 1012, and a new start; likewise. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}

async function untilReady(url: string, relay: ChildProcess, said: () => string): Promise<void> {
  const end = Date.now() + UP_WITHIN_MS;
  for (;;) {
    const ready = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(2_000) }).then(
      (response) => response.status === 200,
      () => false,
    );
    if (ready) return;
    if (relay.exitCode !== null || Date.now() > end) throw new Error(`the relay did not come up:\n${said().slice(-4_000)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function untilGone(url: string): Promise<void> {
  for (let i = 0; i < 100; i += 1) {
    const answered = await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(1_000) }).then(
      () => true,
      () => false,
    );
    if (!answered) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('the killed relay still answers');
}

/** `settings`: of relay/config.py, by their names there. */
export async function startRealRelay(settings: Readonly<Record<string, string>> = {}): Promise<RealRelay> {
  const external = process.env['SOTTOVOCE_RELAY_URL'];
  if (external !== undefined) {
    const invites = (process.env['SOTTOVOCE_INVITES'] ?? '').split(',').filter(Boolean);
    const spent = (): never => {
      throw new Error('SOTTOVOCE_INVITES holds too few invites for all tests');
    };
    return {
      url: external.replace(/\/$/, ''),
      invite: async () => invites.shift() ?? spent(),
      crash: async () => {
        throw new Error('a relay that runs elsewhere is not killed');
      },
      restart: async () => {
        throw new Error('a relay that runs elsewhere is not restarted');
      },
      stop: async () => undefined,
    };
  }
  const bin = path.join(ROOT, '.venv', 'bin');
  if (!existsSync(path.join(bin, 'hypercorn'))) throw new Error(`there is no relay in ${bin}: set it up first, or name one by SOTTOVOCE_RELAY_URL`);
  const directory = mkdtempSync(path.join(tmpdir(), 'sottovoce-relay-'));
  chmodSync(directory, 0o711); // as root, PostgreSQL runs under another user, who must be able to pass through
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('SOTTOVOCE_') && name !== 'VIRTUAL_ENV');
  const env = {
    ...Object.fromEntries(inherited),
    PYTHONUNBUFFERED: '1',
    SOTTOVOCE_PUBLIC_URL: url,
    SOTTOVOCE_VAR_DIRECTORY: path.join(directory, 'var'),
    ...Object.fromEntries(Object.entries(settings).map(([name, value]) => [`SOTTOVOCE_${name.toUpperCase()}`, value])),
  };
  let said = '';
  const start = async (): Promise<ChildProcess> => {
    const child = spawn(path.join(bin, 'hypercorn'), ['-k', 'trio', '-b', `127.0.0.1:${port}`, 'relay.app:app'], {
      cwd: ROOT,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true, // hypercorn's worker is a process of its own: a crash must take the whole group
    });
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (said += data.toString('utf8')));
    await untilReady(url, child, () => said);
    return child;
  };
  const end = async (child: ChildProcess, signal: NodeJS.Signals): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    const group = -(child.pid ?? 0);
    if (signal === 'SIGKILL') process.kill(group, signal);
    else child.kill(signal);
    const timer = setTimeout(() => process.kill(group, 'SIGKILL'), 15_000);
    await exited;
    clearTimeout(timer);
  };
  let relay = await start();
  const minted: string[] = [];
  return {
    url,
    async invite() {
      if (minted.length === 0) {
        const { stdout } = await promisify(execFile)(path.join(bin, 'relay'), ['invite', '--json', '--count', '40'], { cwd: ROOT, env });
        minted.push(...(JSON.parse(stdout) as { link: string }[]).map(({ link }) => link));
      }
      return minted.pop() ?? '';
    },
    async crash() {
      await end(relay, 'SIGKILL');
      await untilGone(url);
      relay = await start();
    },
    async restart() {
      await end(relay, 'SIGTERM');
      await untilGone(url);
      relay = await start();
    },
    async stop() {
      await end(relay, 'SIGTERM');
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
