/** One contract for everything that screens may look at. */
import WebSocket from 'ws';

import { serveMessenger } from '../src/bridge/server.ts';
import { systemRandom } from '../src/node/machine.ts';
import { connectBridge } from '../src/ui/device/bridge_messenger.ts';
import { FakeMessenger } from '../src/ui/scenes/fake_messenger.ts';
import { worldOf } from '../src/ui/scenes/scenes.ts';
import { messengerContract } from './messenger_contract.ts';
import type { Side } from './messenger_contract.ts';
import { FakeRelay } from './relay/fake_relay.ts';
import { TestApp } from './support/apps.ts';
import { removeDirectory, until } from './support/clients.ts';

async function core(): Promise<Side> {
  const relay = await FakeRelay.start();
  const [me, friend] = [await TestApp.join(relay.invite(), 'Me'), await TestApp.join(relay.invite(), 'Friend')];
  const [mine, peer] = [await me.id(), await friend.id()];
  await me.app.addByCard(await friend.app.card(), false);
  await friend.app.addByCard(await me.app.card(), false);
  await me.app.start();
  await friend.app.start();
  return {
    messenger: me.app,
    peer,
    async hear(text) {
      const id = await friend.app.send(mine, { text, quotes: null });
      await until('it arrives', async () => (await me.app.messages(peer, { before: null, limit: 100 })).messages.some((message) => message.id === id));
    },
    async close() {
      for (const app of [me, friend]) {
        await app.close();
        removeDirectory(app.directory);
      }
      await relay.stop();
    },
  };
}

messengerContract('the core', core);

messengerContract('the core behind the bridge, with the browser’s end', async () => {
  const side = await core();
  const bridge = await serveMessenger(side.messenger, { random: systemRandom });
  Object.assign(globalThis, { WebSocket }); // a browser has one
  const messenger = await connectBridge(bridge.url, bridge.token());
  return {
    ...side,
    messenger,
    async close() {
      await bridge.close();
      await side.close();
    },
  };
});

messengerContract('the made-up one', async () => {
  const world = worldOf('en');
  Object.assign(world, { now: () => Math.floor(Date.now() / 1000), people: world.people.slice(1, 2), calls: [] });
  const [person] = world.people;
  if (!person) throw new Error('nobody');
  Object.assign(person, { messages: [], readUpTo: 0 });
  const fake = new FakeMessenger(world);
  return { messenger: fake, peer: person.contact.peer, hear: async (text) => void fake.arrive(person.contact.peer, text), close: async () => undefined };
});
