/** Run by `npm run test:relay`: it needs the relay of this repository set up, or one that runs elsewhere. */
import { afterAll, beforeAll } from 'vitest';

import { relayContract } from './contract.ts';
import { numbersContract } from './numbers_contract.ts';
import { startRealRelay } from './real_relay.ts';
import type { RealRelay } from './real_relay.ts';

let relay: RealRelay | undefined;

beforeAll(async () => {
  relay = await startRealRelay();
}, 120_000);

afterAll(() => relay?.stop());

const underTest = (): RealRelay => {
  if (!relay) throw new Error('the relay is not up');
  return relay;
};

relayContract('real relay', underTest);
numbersContract('real relay', underTest);
