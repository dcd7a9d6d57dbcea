/**
 * Debian's coturn beside a real relay, set up as an operator does it: `relay turn-config` prints its file. Only what loopback needs
 * is changed: ports, and that a loopback address may be a peer at all.
 */
import { execFile, execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

import { startRealRelay } from '../relay/real_relay.ts';
import type { RealRelay } from '../relay/real_relay.ts';
import { until } from '../support/clients.ts';

const ROOT = path.resolve(import.meta.dirname, '../../..');
export const TURN_HOST = '127.0.0.2';

export interface Turn {
  readonly port: number;
  readonly url: string;
  stop(): Promise<void>;
  start(extra?: readonly string[]): Promise<void>;
}

export interface Site {
  readonly relay: RealRelay;
  readonly turn: Turn;
  close(): Promise<void>;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, TURN_HOST, resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}

/** A relay and a TURN server that know each other. */
export async function openSite(extra: readonly string[] = []): Promise<Site> {
  try {
    execFileSync('sh', ['-c', 'command -v turnserver']);
  } catch {
    throw new Error('coturn is not installed: run `make setup-calls`, or apt-get install coturn');
  }
  const directory = mkdtempSync(path.join(tmpdir(), 'sottovoce-calls-'));
  chmodSync(directory, 0o711); // as root, PostgreSQL runs under another user, who must be able to pass through
  const variable = path.join(directory, 'var');
  const port = await freePort();
  const url = `turn:${TURN_HOST}:${port}?transport=udp`;
  const relay = await startRealRelay({ var_directory: variable, turn_urls: url, turn_mints_burst: '1000', posts_burst: '5000', session_posts_per_s: '500' });
  const env = { ...process.env, SOTTOVOCE_VAR_DIRECTORY: variable };
  const { stdout } = await promisify(execFile)(path.join(ROOT, '.venv/bin/relay'), ['turn-config', '--address', TURN_HOST], { cwd: ROOT, env });
  const configuration = stdout.replace(/^(listening-port|min-port|max-port)=.*$/gm, '');
  let child: ChildProcess | null = null;
  const turn: Turn = {
    port,
    url,
    async start(more = extra) {
      const file = path.join(directory, 'turnserver.conf');
      const own = [`listening-port=${port}`, 'min-port=30000', 'max-port=39999', 'allow-loopback-peers', ...more];
      writeFileSync(file, `${configuration}\n${own.join('\n')}\n`, { mode: 0o600 });
      const program = spawn('turnserver', ['-c', file, `--pidfile=${directory}/pid`, `--userdb=${directory}/turndb`], { stdio: 'ignore' });
      child = program;
      // The operator's own check, which also is what knows when it is up.
      await until('coturn is up and well', async () => {
        if (program.exitCode !== null) throw new Error('coturn ended at once: its configuration is not accepted');
        return promisify(execFile)(path.join(ROOT, '.venv/bin/relay'), ['turn-check'], { cwd: ROOT, env: { ...env, SOTTOVOCE_TURN_URLS: url } }).then(
          () => true,
          () => false,
        );
      }, 60_000);
    },
    async stop() {
      const program = child;
      child = null;
      if (!program || program.exitCode !== null) return;
      const exited = new Promise<void>((resolve) => program.once('exit', () => resolve()));
      program.kill('SIGKILL');
      await exited;
    },
  };
  await turn.start();
  return {
    relay,
    turn,
    async close() {
      await turn.stop();
      await relay.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
