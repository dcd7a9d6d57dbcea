// Opens the page behind an invite in Chromium and tells what a person, a screen reader and the network would notice.
// Standard input: {module, chromium, axe, views: [{url, width, height, dark, language, scripts, audit, screenshot}]}. Output: a result a view.
import { readFileSync } from 'node:fs';

const asked = JSON.parse(readFileSync(0, 'utf8'));
const { chromium } = await import(asked.module);
const axe = readFileSync(asked.axe, 'utf8');
const browser = await chromium.launch({
  executablePath: asked.chromium,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
const results = [];
try {
  for (const view of asked.views) {
    const context = await browser.newContext({
      viewport: { width: view.width, height: view.height },
      colorScheme: view.dark ? 'dark' : 'light',
      locale: view.language,
      javaScriptEnabled: view.scripts,
      bypassCSP: view.audit, // the audit is a script of ours, put into the page
    });
    const page = await context.newPage();
    const requests = [];
    const complaints = [];
    page.on('request', (request) => requests.push({ url: request.url(), referer: request.headers().referer ?? null }));
    page.on('console', (message) => complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(String(error)));
    const answer = await page.goto(view.url, { waitUntil: 'load' });
    if (view.screenshot) await page.screenshot({ path: view.screenshot, fullPage: true });
    const seen = await page.evaluate(() => ({
      language: document.documentElement.lang,
      direction: getComputedStyle(document.documentElement).direction,
      title: document.title,
      text: document.body.innerText,
      background: getComputedStyle(document.body).backgroundColor,
      wide: document.documentElement.scrollWidth > document.documentElement.clientWidth,
      open: document.getElementById('open')?.href ?? null,
      shown: !document.getElementById('invite').hidden,
      broken: !document.getElementById('broken').hidden,
      path: document.querySelector('#code path')?.getAttribute('d') ?? null,
      links: [...document.querySelectorAll('nav a')].map((one) => one.href),
      apk: document.querySelector('a[download]')?.href ?? null,
      stored: document.cookie + JSON.stringify(Object.entries(localStorage)) + JSON.stringify(Object.entries(sessionStorage)),
    }));
    let violations = null;
    if (view.audit) {
      await page.evaluate(axe);
      const found = await page.evaluate(async () => (await globalThis.axe.run()).violations);
      violations = found.map((one) => `${one.id}: ${one.nodes.map((node) => node.html).join(' ')}`);
    }
    results.push({ ...seen, status: answer.status(), requests, complaints, violations });
    await context.close();
  }
} finally {
  await browser.close();
}
console.log(JSON.stringify(results));
