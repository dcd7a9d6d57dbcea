/** Every screen, over a made-up core: it draws, says what it must, and everything that can be touched has a role and a name. */
import { act, fireEvent, screen } from '@testing-library/react-native';

import { RECOVERY_CODE } from '../src/ui/scenes/fake_messenger';
import { held, openApp, settle, touchables } from './app';

jest.mock('../src/ui/device/this_device', () => ({
  get device() {
    return jest.requireActual<typeof import('./app')>('./app').held.device;
  },
}));

const MARTA = '0198f2d4-1111-7000-8000-000000000001';
const JONAS = '0198f2d4-1111-7000-8000-000000000002';
const PETER = '0198f2d4-1111-7000-8000-000000000005';
const TOM = '0198f2d4-1111-7000-8000-000000000007';

const OUTSIDE = ['/welcome', '/return', '/join', '/profile', '/country', '/recover', '/restore', '/scan?for=invite'];
const INSIDE = [
  '/chats', '/calls', '/settings', '/archived', '/requests', '/new', '/card', '/add', '/recovery', '/recovery-confirm', `/chat/${MARTA}`, `/chat/${PETER}`, `/chat/${TOM}`, `/contact/${MARTA}`, `/safety/${MARTA}`, '/scan?for=contact',
  '/settings/profile', '/settings/appearance', '/settings/notifications', '/settings/delivery', '/settings/privacy', '/settings/blocked', '/settings/security', '/settings/relay', '/settings/transfer', '/settings/self-test', '/settings/about', '/settings/delete',
];

test.each([...OUTSIDE, ...INSIDE])('%s: all that can be touched has a role and a name', async (url) => {
  const { view } = await openApp(url, (world) => void (OUTSIDE.includes(url) && Object.assign(world, { account: null, people: [] })));
  expect(view.getPathname()).toBe(url.split('?')[0]);
  const touched = touchables(view.root as never);
  expect(touched.length).toBeGreaterThan(0);
  const bare = touched.filter(({ props }) => !props['accessibilityRole'] && !props['role']).map(({ props }) => props['accessibilityLabel'] ?? 'nameless');
  const nameless = touched.filter(({ props }) => typeof (props['accessibilityLabel'] ?? props['aria-label']) !== 'string' || (props['accessibilityLabel'] ?? props['aria-label']) === '');
  expect({ bare, nameless: nameless.length }).toEqual({ bare: [], nameless: 0 });
});

test('no account: the way in, with registration step by step', async () => {
  const { fake } = await openApp('/', (world) => Object.assign(world, { account: null, people: [], calls: [] }));
  fireEvent.press(screen.getByTestId('join'));
  await settle();
  fireEvent.changeText(screen.getByTestId('invite'), 'nonsense');
  fireEvent.press(screen.getByTestId('next'));
  await settle();
  expect(screen.getByText(/This link is not complete/)).toBeOnTheScreen();
  fireEvent.changeText(screen.getByTestId('invite'), 'https://relay.example.org/join#c=abc&t=def');
  fireEvent.press(screen.getByTestId('next'));
  await settle();
  fireEvent.changeText(screen.getByTestId('name'), 'Nadia');
  fireEvent.changeText(screen.getByTestId('number'), '12');
  await settle();
  expect(screen.getByText(/not a phone number/)).toBeOnTheScreen();
  fireEvent.changeText(screen.getByTestId('number'), '0151 12345678');
  fake.failures.set('join', 'number_taken');
  fireEvent.press(screen.getByTestId('join-now'));
  await settle();
  expect(screen.getByText(/already belongs to an account/)).toBeOnTheScreen();
  fireEvent.press(screen.getByTestId('retry'));
  await settle();
  expect(fake.world.account).toMatchObject({ name: 'Nadia', number: '+4915112345678' });
  expect(screen.getByText('Recovery code')).toBeOnTheScreen();
  fireEvent.press(screen.getByTestId('written'));
  await settle();
  fireEvent.changeText(screen.getByTestId('code'), 'wrong');
  fireEvent.press(screen.getByTestId('check'));
  await settle();
  expect(screen.getByText(/There is a slip in this code/)).toBeOnTheScreen();
  fireEvent.changeText(screen.getByTestId('code'), RECOVERY_CODE.replace('K7QD', 'K7QE'));
  fireEvent.press(screen.getByTestId('check'));
  await settle();
  expect(screen.getByText(/This is not the code/)).toBeOnTheScreen();
  fireEvent.changeText(screen.getByTestId('code'), RECOVERY_CODE.toLowerCase().replaceAll('-', ' '));
  fireEvent.press(screen.getByTestId('check'));
  await settle();
  expect(fake.world.account?.recoveryConfirmed).toBe(true);
  expect(screen.getByText('It is quiet here')).toBeOnTheScreen();
});

test('the list of conversations: what is unread, drafted, typed, and a request apart', async () => {
  await openApp('/chats');
  expect(screen.getByText('Marta Ilves')).toBeOnTheScreen();
  expect(screen.getByLabelText(/^Jonas Okafor, 2 unread messages, Shall I wait/)).toBeOnTheScreen();
  expect(screen.getByText('Draft: About the keys: I left')).toBeOnTheScreen();
  expect(screen.getByText('1 request')).toBeOnTheScreen();
  expect(screen.queryByText(/Marta gave me your number/)).toBeNull(); // a stranger's words wait behind the request
});

test('loading, failure and a second try', async () => {
  const { fake } = await openApp('/chats', undefined, {}, (made) => made.failures.set('conversations', 'database'));
  expect(screen.getAllByText(/could not be read or written/).length).toBeGreaterThan(0);
  fireEvent.press(screen.getByLabelText('Try again'));
  await settle();
  expect(fake.failures.size).toBe(0);
  expect(screen.getByText('Marta Ilves')).toBeOnTheScreen();
});

test('without a connection a line says so, and touching it connects', async () => {
  const { fake } = await openApp('/chats', (world) => Object.assign(world, { connection: { ...world.connection, state: 'waiting' } }));
  fireEvent.press(screen.getByLabelText(/No connection\. .* Connect/));
  await settle();
  expect(fake.world.connection.state).toBe('online');
  expect(screen.queryByText(/No connection/)).toBeNull();
});

test('a message is written, sent, answered, reacted to and deleted', async () => {
  const { fake, device } = await openApp(`/chat/${JONAS}`);
  fireEvent.changeText(screen.getByTestId('compose'), '  on my way  ');
  fireEvent.press(screen.getByTestId('send'));
  await settle();
  const person = fake.world.people[1];
  expect(person?.messages.at(-1)).toMatchObject({ mine: true, text: 'on my way', status: 'sent' });
  expect(screen.getByTestId('compose').props['value']).toBe('');
  await act(async () => void fake.arrive(JONAS, 'good'));
  await settle();
  const row = person?.messages.at(-1)?.row ?? 0;
  expect(person?.readUpTo).toBe(row);
  fireEvent(screen.getByTestId(`message-${row}`), 'longPress');
  await settle();
  fireEvent.press(screen.getByTestId('react-👍'));
  await settle();
  expect(person?.messages.at(-1)?.reactions).toEqual([{ emoji: '👍', mine: true }]);
  fireEvent(screen.getByTestId(`message-${row}`), 'longPress');
  await settle();
  fireEvent.press(screen.getByLabelText('Copy'));
  expect(device.seen.copied).toEqual([{ text: 'good', clearAfterS: 60 }]);
  fireEvent(screen.getByTestId(`message-${row}`), 'longPress');
  await settle();
  fireEvent.press(screen.getByTestId('reply'));
  await settle();
  fireEvent.changeText(screen.getByTestId('compose'), 'yes');
  fireEvent.press(screen.getByTestId('send'));
  await settle();
  expect(person?.messages.at(-1)).toMatchObject({ text: 'yes', quote: { text: 'good' } });
});

test('what cannot be sent stays in the field, with the reason', async () => {
  const { fake } = await openApp(`/chat/${JONAS}`);
  fake.failures.set('send', 'too_long');
  fireEvent.changeText(screen.getByTestId('compose'), 'long');
  fireEvent.press(screen.getByTestId('send'));
  await settle();
  expect(screen.getByText('This is too long for one message.')).toBeOnTheScreen();
  expect(screen.getByTestId('compose').props['value']).toBe('long');
});

test('a request is answered before anything can be written, and is not marked as read', async () => {
  const { fake } = await openApp(`/chat/${TOM}`);
  expect(screen.queryByTestId('compose')).toBeNull();
  expect(fake.world.people[6]?.contact.request).toBe(true);
  fireEvent.press(screen.getByTestId('accept'));
  await settle();
  expect(fake.world.people[6]?.contact.request).toBe(false);
  expect(screen.getByTestId('compose')).toBeOnTheScreen();
});

test('a verified contact whose key changed: nothing can be written until it was seen', async () => {
  const { fake } = await openApp(`/chat/${MARTA}`, (world) => {
    const person = world.people[0];
    if (person) person.contact = { ...person.contact, identity: 'unconfirmed' };
  });
  expect(screen.queryByTestId('compose')).toBeNull();
  expect(screen.getByText('Sending has stopped')).toBeOnTheScreen();
  fireEvent.press(screen.getByTestId('confirm-identity'));
  await settle();
  expect(fake.world.people[0]?.contact).toMatchObject({ identity: 'same', verified: false });
  expect(screen.getByTestId('compose')).toBeOnTheScreen();
});

test('an incoming call comes up by itself, is answered, muted and ended', async () => {
  const { fake, device } = await openApp('/chats');
  await act(async () => fake.setCall({ id: 'c', peer: MARTA, name: 'Marta Ilves', outgoing: false, state: 'ringing', outcome: null, reason: null, connectedAt: null, muted: false, relayOnly: true, verified: true, quality: null }));
  await settle();
  expect(device.seen.calls).toEqual([{ call: 'c', title: 'Marta Ilves', body: 'Incoming call', answer: 'Answer', decline: 'Decline' }]);
  fireEvent.press(screen.getByTestId('answer'));
  await settle();
  expect(screen.getByText('Good connection')).toBeOnTheScreen();
  expect(screen.getByText('Your network address stays hidden from them')).toBeOnTheScreen();
  fireEvent.press(screen.getByTestId('mute'));
  await settle();
  expect(fake.world.call?.muted).toBe(true);
  fireEvent.press(screen.getByTestId('hang-up'));
  await settle();
  expect(fake.world.calls[0]).toMatchObject({ id: 'c', outcome: 'answered' });
});

test('the lock: nothing of anybody is drawn before it opens; what arrives is announced all the same', async () => {
  const { device, fake } = await openApp('/chats', undefined, { appLock: true });
  expect(screen.getByText('Sottovoce is locked')).toBeOnTheScreen();
  expect(screen.queryByText('Marta Ilves')).toBeNull();
  await act(async () => void fake.arrive(JONAS, 'behind the lock'));
  await settle();
  expect(device.seen.messages).toEqual([{ peer: JONAS, title: 'Jonas Okafor', body: '3 new messages', unread: 3 }]);
  device.seen.unlockAnswers.push(false);
  fireEvent.press(screen.getByTestId('unlock'));
  await settle();
  expect(screen.queryByText('Marta Ilves')).toBeNull();
  device.seen.unlockAnswers.push(true);
  fireEvent.press(screen.getByTestId('unlock'));
  await settle();
  expect(screen.getByText('Marta Ilves')).toBeOnTheScreen();
});

test('screen and keyboard are guarded from the start, and the switches turn them', async () => {
  const { device } = await openApp('/settings/security');
  expect(device.seen.secure).toEqual([true]);
  expect(device.seen.incognito).toEqual([true]);
  fireEvent.press(screen.getByTestId('hide-screen'));
  await settle();
  expect(device.seen.secure.at(-1)).toBe(false);
  expect(JSON.parse(device.seen.written.at(-1) ?? '{}')).toMatchObject({ hideScreen: false });
});

test('calls show the network address only after a question', async () => {
  const { fake } = await openApp('/settings/privacy');
  fireEvent.press(screen.getByTestId('relay-calls'));
  await settle();
  expect(fake.world.settings.directCalls).toBe(false);
  fireEvent.press(screen.getByTestId('confirm'));
  await settle();
  expect(fake.world.settings.directCalls).toBe(true);
});

afterEach(() => {
  held.device = null;
});
