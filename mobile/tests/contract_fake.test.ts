import { afterAll, beforeAll } from 'vitest';

import { relayContract } from './relay/contract.ts';
import { FakeRelay } from './relay/fake_relay.ts';
import { numbersContract } from './relay/numbers_contract.ts';

let relay: FakeRelay;

beforeAll(async () => {
  relay = await FakeRelay.start();
});

afterAll(() => relay.stop());

const underTest = () => ({ url: relay.url, invite: async () => relay.invite() });

relayContract('fake relay', underTest);
numbersContract('fake relay', underTest);
