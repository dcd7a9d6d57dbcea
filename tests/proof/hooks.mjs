// Clients that betray, each in one way, named by BETRAYAL: a module of the core is replaced as it is loaded.
import { register } from 'node:module';

register(import.meta.url);

const REPLACED = {
  'skips padding': {
    '/src/core/padding.ts': `
      export const BODY_SIZES = [1024, 4096, 16384, 65536];
      export const pad = (sealed) => { const body = new Uint8Array(4 + sealed.length); new DataView(body.buffer).setUint32(0, sealed.length); body.set(sealed, 4); return body; };
      export const unpad = (body) => body.slice(4, 4 + new DataView(body.buffer, body.byteOffset).getUint32(0));`,
  },
  'registers a reversible hash': {
    '/src/core/discovery/evaluation.ts': `
      import { phoneHash, secretsOf } from './numbers.ts';
      export const evaluateNumbers = async ({ keys }, numbers) => numbers.map((number) => secretsOf(phoneHash(keys.appSalt, number)));
      export const pause = (clock, ms) => new Promise((resolve) => clock.after(ms, resolve));`,
  },
  'registers the bare hash': {
    '/src/core/discovery/evaluation.ts': `
      import { phoneHash, secretsOf } from './numbers.ts';
      export const evaluateNumbers = async ({ keys }, numbers) => numbers.map((number) => ({ ...secretsOf(phoneHash(keys.appSalt, number)), phoneToken: phoneHash(keys.appSalt, number) }));
      export const pause = (clock, ms) => new Promise((resolve) => clock.after(ms, resolve));`,
  },
};

export async function load(url, context, nextLoad) {
  const replaced = REPLACED[process.env.BETRAYAL] ?? {};
  const file = Object.keys(replaced).find((name) => url.split('?')[0].endsWith(name));
  if (!file) return nextLoad(url, context);
  return { format: 'module', shortCircuit: true, source: replaced[file] };
}
