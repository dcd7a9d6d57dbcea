import { afterAll, beforeAll } from 'vitest';

import { relayContract } from './relay/contract.ts';
import { FakeRelay } from './relay/fake_relay.ts';

let relay: FakeRelay;

beforeAll(async () => {
  relay = await FakeRelay.start();
});

afterAll(() => relay.stop());

relayContract('fake relay', () => ({ url: relay.url, invite: async () => relay.invite() }));
