/**
 * Draws every screen in Chromium and compares it with the picture in docs/screens (`--write`: replaces the pictures).
 * A picture passes when at most TOLERATED of its points differ visibly: fonts are drawn a little differently by every version.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import pixelmatch from 'pixelmatch';
import type { Browser } from 'playwright-core';
import { PNG } from 'pngjs';

import { NOW } from '../src/ui/scenes/now.ts';
import { launch, phone } from './browser.ts';
import { addressOf, SHOTS } from './list.ts';
import type { Look, Shot } from './list.ts';
import { serve } from './serve.ts';

const PACKAGE = path.resolve(import.meta.dirname, '..');
const PICTURES = path.resolve(PACKAGE, '../docs/screens');
const DIFFERENCES = path.join(PACKAGE, 'dist/screens');

/** Of all points. A missing button or a moved line is far more. */
const TOLERATED = 0.02;

async function take(browser: Browser, base: string, shot: Shot, look: Look): Promise<Buffer> {
  const context = await phone(browser, { dark: look === 'dark', now: NOW });
  try {
    const page = await context.newPage();
    page.setDefaultTimeout(20_000);
    const errors: string[] = [];
    page.on('pageerror', (error) => errors.push(error.message));
    await page.goto(addressOf(base, shot, look));
    await page.locator('#root > *').first().waitFor();
    await page.evaluate(() => document.fonts.ready);
    await page.waitForLoadState('networkidle');
    if (shot.before) await shot.before(page);
    await page.waitForTimeout(250); // the last frame of a list
    const picture = await page.screenshot({ animations: 'disabled', caret: 'hide' });
    if (errors.length > 0) throw new Error(errors.join('; '));
    return picture;
  } finally {
    await context.close();
  }
}

/** The part of all points that differ visibly, 0 to 1; 1 for another size. */
export function difference(one: Buffer, other: Buffer, into: string): number {
  const [a, b] = [PNG.sync.read(one), PNG.sync.read(other)];
  if (a.width !== b.width || a.height !== b.height) return 1;
  const drawn = new PNG({ width: a.width, height: a.height });
  const points = pixelmatch(a.data, b.data, drawn.data, a.width, a.height, { threshold: 0.2 });
  if (points > 0) writeFileSync(into, PNG.sync.write(drawn));
  return points / (a.width * a.height);
}

async function main(): Promise<void> {
  const write = process.argv.includes('--write');
  const only = process.argv.slice(2).filter((word) => !word.startsWith('--'));
  const wanted = SHOTS.flatMap((shot) => shot.looks.map((look) => ({ shot, look }))).filter(({ shot, look }) => only.length === 0 || only.some((word) => `${shot.name}-${look}`.startsWith(word)));
  rmSync(DIFFERENCES, { recursive: true, force: true });
  mkdirSync(DIFFERENCES, { recursive: true });
  mkdirSync(PICTURES, { recursive: true });
  const served = await serve(path.join(PACKAGE, 'dist/web'));
  const browser = await launch();
  const wrong: string[] = [];
  try {
    for (const { shot, look } of wanted) {
      const name = `${shot.name}-${look}`;
      let picture: Buffer;
      try {
        picture = await take(browser, served.url, shot, look);
      } catch (error) {
        wrong.push(`${name}: ${error instanceof Error ? (error.message.split('\n')[0] ?? '') : 'failed'}`);
        continue;
      }
      const kept = path.join(PICTURES, `${name}.png`);
      if (write) {
        writeFileSync(kept, picture);
        continue;
      }
      if (!existsSync(kept)) {
        wrong.push(`${name}: there is no picture of it yet`);
        continue;
      }
      const part = difference(readFileSync(kept), picture, path.join(DIFFERENCES, `${name}-difference.png`));
      if (part > TOLERATED) {
        wrong.push(`${name}: ${(part * 100).toFixed(1)} % of it differ`);
        writeFileSync(path.join(DIFFERENCES, `${name}.png`), picture);
      }
    }
  } finally {
    await browser.close();
    await served.close();
  }
  process.stdout.write(`${wanted.length} screens ${write ? 'drawn' : 'compared'}, ${wrong.length} wrong\n${wrong.map((line) => `  ${line}\n`).join('')}`);
  if (wrong.length > 0) process.exitCode = 1;
}

if (process.argv[1] === import.meta.filename) await main();
