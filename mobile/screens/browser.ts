/** Debian's Chromium, headless, with nothing that would ask the network. */
import { existsSync } from 'node:fs';

import { chromium } from 'playwright-core';
import type { Browser, BrowserContext } from 'playwright-core';

const PLACES = [process.env['CHROMIUM'], '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

export function chromiumPath(): string {
  const found = PLACES.find((place) => place !== undefined && place !== '' && existsSync(place));
  if (found === undefined) throw new Error('no Chromium here: apt-get install chromium fonts-noto-color-emoji, or name one in CHROMIUM');
  return found;
}

export function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: chromiumPath(),
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--font-render-hinting=none', '--disable-lcd-text', '--force-color-profile=srgb'],
  });
}

/** A phone of 360 by 800 dp. Nothing moves, and the time stands still if one is given (seconds since 1970). */
export async function phone(browser: Browser, options: { readonly dark?: boolean; readonly now?: number } = {}): Promise<BrowserContext> {
  const context = await browser.newContext({ viewport: { width: 360, height: 800 }, deviceScaleFactor: 1, reducedMotion: 'reduce', colorScheme: options.dark === true ? 'dark' : 'light', timezoneId: 'UTC', locale: 'en-GB', hasTouch: true });
  if (options.now !== undefined) await context.clock.setFixedTime(options.now * 1000);
  return context;
}
