/** An app whose process "dies" at a step, with everything that was under way. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

import type { App } from '../../src/core/app.ts';
import type { Machine } from '../../src/core/client.ts';
import type { ArchiveWriter } from '../../src/core/transfer/container.ts';
import { nodeArchiveFiles } from '../../src/node/archive_files.ts';
import { identifiedLane, Lane } from '../../src/node/network.ts';
import { TestApp } from './apps.ts';

class Killed extends Error {}

/** What a dead process leaves: its open files are closed, and the half-written one is still there. */
async function leftAside(file: string, writer: ArchiveWriter): Promise<void> {
  const part = `${file}.part`;
  const bytes = existsSync(part) ? readFileSync(part) : null;
  await writer.abort();
  if (bytes) writeFileSync(part, bytes);
}

/** As if the process were gone from step `dieAt` on: a step is a write, a request, or an access to a file, before and after it. */
export async function appLivesUntil(where: string, dieAt: number, machine: Partial<Machine>, work: (app: App) => Promise<unknown>): Promise<boolean> {
  const written: [string, ArchiveWriter][] = [];
  let steps = 0;
  let dead = false;
  const mortal = async <T>(act: () => Promise<T>): Promise<T> => {
    for (const step of [1, 2]) {
      dead ||= (steps += 1) >= dieAt;
      if (dead) throw new Killed();
      if (step === 1) {
        const result = await act();
        dead ||= (steps += 1) >= dieAt;
        if (dead) throw new Killed();
        return result;
      }
    }
    throw new Killed();
  };
  const lane = new Lane();
  const identified = identifiedLane(lane);
  const one = await TestApp.open(
    where,
    {
      ...machine,
      preKeys: 1,
      identified: { ...identified, http: { request: (request) => mortal(() => identified.http.request(request)) } },
      files: {
        ...nodeArchiveFiles,
        async write(file) {
          const writer = await mortal(async () => {
            const made = await nodeArchiveFiles.write(file);
            written.push([file, made]);
            return made;
          });
          return { append: (bytes) => mortal(() => writer.append(bytes)), reread: () => writer.reread(), commit: () => mortal(() => writer.commit()), abort: () => (dead ? Promise.reject(new Killed()) : writer.abort()) };
        },
      },
    },
    (database) => ({ read: (statement) => database.read(statement), write: (statements) => mortal(() => database.write(statements)), close: () => database.close() }),
  ).catch((error: unknown) => {
    if (error instanceof Killed) return null;
    throw error;
  });
  try {
    if (one) await work(one.app);
    return !dead;
  } catch (error) {
    if (!dead) throw error; // a dead process has no more to say, whatever it makes of its own death
    return false;
  } finally {
    for (const [file, writer] of written) await leftAside(file, writer);
    await one?.close().catch(() => undefined);
    lane.close();
  }
}
