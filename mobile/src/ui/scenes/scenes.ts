/** Made-up worlds for pictures, chosen by `?scene=`. The time stands still at NOW, which the page's clock is set to as well. */
import type { ContactView, MessageView, Messenger } from '../../core/messenger.ts';
import { FakeMessenger } from './fake_messenger';
import { NOW } from './now';
import { SCRIPTS } from './scripts';
import type { Script } from './scripts';
import { blankMessage, blankPerson } from './world';
import type { Person, World } from './world';

const HOUR = 3600;
const DAY = 24 * HOUR;

const peer = (number: number): string => `0198f2d4-1111-7000-8000-00000000000${number}`;

class Builder {
  #row = 0;

  person(number: number, name: string, part: Partial<ContactView>, messages: readonly (Partial<MessageView> & { readonly ago: number })[], rest: Partial<Person> = {}): Person {
    const person = blankPerson({ peer: peer(number), name, ...part });
    for (const { ago, ...message } of messages) {
      this.#row += 1;
      person.messages.push({ ...blankMessage(this.#row, `m${this.#row}`, NOW - ago), ...message });
    }
    person.readUpTo = this.#row;
    return Object.assign(person, rest);
  }

  unread(person: Person, count: number): Person {
    person.readUpTo = (person.messages.at(-count)?.row ?? 0) - 1;
    return person;
  }
}

function peopleOf(script: Script): Person[] {
  const build = new Builder();
  const [a, b, c, d, e, f] = script.names;
  const { talk, lines } = script;
  return [
    build.person(1, a, { verified: true, number: '+4915112345678', numberConfirmed: true }, [
      { ago: DAY + 2 * HOUR, text: talk[0] },
      { ago: DAY + 2 * HOUR - 60, mine: true, status: 'read', text: talk[1] },
      { ago: DAY + HOUR, kind: 'call', mine: true, status: 'sent', call: { outcome: 'answered', seconds: 247 } },
      { ago: 90 * 60, text: talk[2] },
      { ago: 89 * 60, text: talk[3], reactions: [{ emoji: '❤️', mine: true }] },
      { ago: 41 * 60, mine: true, status: 'read', text: talk[4], quote: { id: 'm4', mine: false, text: talk[3] } },
      { ago: 40 * 60, mine: true, status: 'read', text: talk[5], edited: true },
      { ago: 12 * 60, text: talk[6] },
      { ago: 2 * 60, mine: true, status: 'delivered', text: talk[7] },
    ]),
    build.unread(build.person(2, b, {}, [{ ago: 26 * 60, text: lines[0] }, { ago: 25 * 60, text: lines[1] }]), 2),
    build.person(3, c, { verified: true }, [{ ago: 5 * HOUR, mine: true, status: 'read', text: lines[2] }], { typing: true }),
    build.unread(build.person(4, d, { mutedUntil: NOW + 400 * DAY }, [{ ago: DAY + 3 * HOUR, text: lines[3] }]), 1),
    build.person(5, e, { identity: 'changed' }, [
      { ago: 2 * DAY, mine: true, status: 'sent', text: lines[4] },
      { ago: 2 * DAY - HOUR, kind: 'identity_changed' },
    ]),
    build.person(6, f, { verified: true }, [{ ago: 6 * DAY, mine: true, status: 'failed', reason: 'no_access', text: lines[5] }], { draft: script.draft }),
    build.person(7, script.stranger, { request: true }, [{ ago: 3 * HOUR, text: script.request }]),
    build.person(8, script.gone, {}, [{ ago: 20 * DAY, text: lines[3] }], { archived: true }),
  ];
}

export function worldOf(language: string): World {
  const script = SCRIPTS[language] ?? (SCRIPTS['en'] as Script);
  const people = peopleOf(script);
  const row = (number: number): { peer: string; name: string } => ({ peer: peer(number), name: script.names[number - 1] ?? '' });
  return {
    now: () => NOW,
    account: { account: '0198f2d4-0000-7000-8000-000000000001', name: script.me, number: '+4930123456', relayUrl: 'https://relay.example.org', relayName: script.relay, recoveryConfirmed: true },
    invite: { relayUrl: 'https://relay.example.org', relayName: script.relay, discovery: true, calls: true },
    connection: { state: 'online', caughtUp: true, deliveredAt: NOW - 120, probedAt: NOW - 5 * HOUR, probeFailed: false },
    settings: { deliveryReceipts: true, readReceipts: false, typing: true, strangers: true, directCalls: false, timerS: 0 },
    people,
    calls: [
      { id: 'c1', ...row(1), outgoing: true, outcome: 'answered', at: NOW - DAY - HOUR, seconds: 247 },
      { id: 'c2', ...row(3), outgoing: false, outcome: 'missed', at: NOW - 2 * DAY, seconds: 0 },
      { id: 'c3', ...row(2), outgoing: false, outcome: 'answered', at: NOW - 4 * DAY, seconds: 3727 },
      { id: 'c4', ...row(6), outgoing: true, outcome: 'no_answer', at: NOW - 9 * DAY, seconds: 0 },
    ],
    call: null,
  };
}

const SCENES: Readonly<Record<string, (made: World) => void>> = {
  home: () => undefined,
  outside: (made) => Object.assign(made, { account: null, people: [], calls: [] }),
  empty: (made) => Object.assign(made, { people: [], calls: [] }),
  fresh: (made) => made.account && Object.assign(made, { account: { ...made.account, recoveryConfirmed: false } }),
  offline: (made) => Object.assign(made, { connection: { ...made.connection, state: 'waiting', probeFailed: true } }),
  ringing: (made) => Object.assign(made, { call: callWith(made, { outgoing: false, state: 'ringing' }) }),
  talking: (made) => Object.assign(made, { call: callWith(made, { outgoing: true, state: 'connected', connectedAt: NOW - 247, quality: { roundTripMs: 84, lossPercent: 0.4, jitterMs: 11 } }) }),
};

function callWith(made: World, part: object): object {
  const contact = made.people[0]?.contact;
  return { id: 'call-1', peer: contact?.peer, name: contact?.name, outcome: null, reason: null, connectedAt: null, muted: false, relayOnly: true, verified: true, quality: null, ...part };
}

/** `broken`: nothing can be read. `endless`: a conversation of 100,000 messages. */
export async function openScene(name: string): Promise<Messenger> {
  const language = new URLSearchParams(window.location.search).get('lang') ?? 'en';
  const made = worldOf(language);
  SCENES[name]?.(made);
  const fake = new FakeMessenger(made);
  if (name === 'broken') for (const method of ['conversations', 'conversation', 'calls', 'contacts']) fake.failures.set(method, 'database');
  if (name === 'endless') {
    const [person] = made.people;
    if (person) person.messages = Array.from({ length: 100_000 }, (_, at) => ({ ...blankMessage(at + 1, `e${at + 1}`, NOW - (100_000 - at) * 60), mine: at % 3 === 0, status: at % 3 === 0 ? ('read' as const) : ('received' as const), text: `${at + 1}` }));
  }
  return fake;
}
