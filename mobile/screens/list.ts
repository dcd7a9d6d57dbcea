/** The pictures: which screen, in which made-up world, and what is touched before it is taken. */
import type { Page } from 'playwright-core';

export type Look = 'light' | 'dark' | 'large' | 'rtl';

export const LOOKS: Readonly<Record<Look, string>> = { light: '', dark: '&theme=dark', large: '&text=2', rtl: '&lang=ar' };

export interface Shot {
  readonly name: string;
  readonly path: string;
  readonly scene?: string;
  readonly more?: string;
  readonly looks: readonly Look[];
  readonly before?: (page: Page) => Promise<void>;
}

const MARTA = '0198f2d4-1111-7000-8000-000000000001';
const PETER = '0198f2d4-1111-7000-8000-000000000005';
const TOM = '0198f2d4-1111-7000-8000-000000000007';

const ALL: readonly Look[] = ['light', 'dark', 'large', 'rtl'];
const INVITE = encodeURIComponent('https://relay.example.org/join#c=Zk4mQ9vXr2Lt7Bn5Wd8Hs3Py&t=BfKj');

export const SHOTS: readonly Shot[] = [
  { name: 'welcome', path: '/welcome', scene: 'outside', looks: ALL },
  { name: 'join', path: '/join', scene: 'outside', looks: ['light'] },
  { name: 'join-profile', path: `/join?link=${INVITE}`, scene: 'outside', looks: ['light', 'large'], before: (page) => page.getByTestId('name').waitFor() },
  { name: 'recovery', path: '/recovery', scene: 'fresh', looks: ['light', 'dark', 'rtl'], before: (page) => page.getByTestId('written').waitFor() },
  { name: 'chats', path: '/chats', looks: ALL },
  { name: 'chats-empty', path: '/chats', scene: 'empty', looks: ['light'] },
  { name: 'chats-offline', path: '/chats', scene: 'offline', looks: ['light', 'dark'] },
  { name: 'chats-error', path: '/chats', scene: 'broken', looks: ['light'] },
  {
    name: 'search',
    path: '/chats',
    looks: ['light'],
    async before(page) {
      await page.getByTestId('search').click();
      await page.getByTestId('search-field').fill('the');
      await page.getByText('Messages', { exact: true }).waitFor();
    },
  },
  { name: 'chat', path: `/chat/${MARTA}`, looks: ALL },
  {
    name: 'chat-actions',
    path: `/chat/${MARTA}`,
    looks: ['light', 'dark'],
    async before(page) {
      await page.getByTestId('message-9').click({ delay: 700 });
      await page.getByTestId('reply').waitFor();
    },
  },
  { name: 'chat-request', path: `/chat/${TOM}`, looks: ['light', 'rtl'] },
  { name: 'chat-key-changed', path: `/chat/${PETER}`, looks: ['light', 'large'] },
  { name: 'contact', path: `/contact/${MARTA}`, looks: ['light', 'dark'] },
  { name: 'safety', path: `/safety/${MARTA}`, looks: ALL },
  { name: 'new', path: '/new', looks: ['light', 'rtl'] },
  { name: 'card', path: '/card', looks: ['light'] },
  { name: 'scan', path: '/scan?for=contact', looks: ['light'] },
  { name: 'calls', path: '/calls', looks: ['light', 'dark'] },
  { name: 'call-incoming', path: '/call', scene: 'ringing', looks: ['light', 'large', 'rtl'] },
  { name: 'call', path: '/call', scene: 'talking', looks: ['light'] },
  { name: 'settings', path: '/settings', looks: ALL },
  { name: 'privacy', path: '/settings/privacy', looks: ['light', 'large'] },
  { name: 'delivery', path: '/settings/delivery', looks: ['light'] },
  { name: 'security', path: '/settings/security', looks: ['dark'] },
  { name: 'relay', path: '/settings/relay', looks: ['light'] },
  { name: 'transfer', path: '/settings/transfer', looks: ['light'] },
  { name: 'delete', path: '/settings/delete', looks: ['light'] },
  { name: 'lock', path: '/chats', more: '&lock=on', looks: ['light', 'dark'] },
];

export function addressOf(base: string, shot: Shot, look: Look): string {
  const mark = shot.path.includes('?') ? '&' : '?';
  return `${base}${shot.path}${mark}scene=${shot.scene ?? 'home'}${shot.more ?? ''}${LOOKS[look]}`;
}
