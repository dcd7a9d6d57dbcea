/** Line icons, drawn on a grid of 24. Those that point somewhere are turned round in languages that run from right to left. */
import { memo } from 'react';
import type { ReactElement } from 'react';
import Svg, { Path } from 'react-native-svg';

import { useLook } from '../theme/theme';

const PATHS = {
  back: 'M19 12H5M11 6l-6 6 6 6',
  forward: 'M9 6l6 6-6 6',
  close: 'M6 6l12 12M18 6L6 18',
  check: 'M5 12.5l4.5 4.5L19 7.5',
  checks: 'M2.5 12.5L7 17l8-9M11 16l1 1 9.5-9.5',
  clock: 'M12 21a9 9 0 100-18 9 9 0 000 18zM12 7v5l3 2',
  alert: 'M12 21a9 9 0 100-18 9 9 0 000 18zM12 7.5v5M12 16v.2',
  info: 'M12 21a9 9 0 100-18 9 9 0 000 18zM12 11v5.5M12 7.8V8',
  search: 'M11 18a7 7 0 100-14 7 7 0 000 14zM20 20l-4-4',
  compose: 'M12 5H6.5A1.5 1.5 0 005 6.5v11A1.5 1.5 0 006.5 19h11a1.5 1.5 0 001.5-1.5V12M18.5 3.5l2 2L12.5 13.5l-2.7.7.7-2.7 8-8z',
  send: 'M4.5 12L3.5 4.8c-.1-.7.6-1.2 1.2-.9l15.5 7.4c.6.3.6 1.1 0 1.4L4.7 20.1c-.6.3-1.3-.2-1.2-.9L4.5 12zm0 0h8',
  phone: 'M6.5 3.5h2.2c.5 0 .9.3 1 .8l.7 3c.1.4 0 .8-.3 1L8.4 9.9a12 12 0 005.7 5.7l1.6-1.7c.3-.3.7-.4 1-.3l3 .7c.5.1.8.5.8 1v2.2a2 2 0 01-2.1 2C10.9 19.1 4.9 13.1 4.5 5.6a2 2 0 012-2.1z',
  microphone: 'M12 14.5a3 3 0 003-3v-5a3 3 0 10-6 0v5a3 3 0 003 3zM6 11.5a6 6 0 0012 0M12 17.5V21',
  muted: 'M9 9.5v2a3 3 0 004.8 2.4M15 10V6.5a3 3 0 00-5.8-1M6 11.5a6 6 0 009.2 5M18 11.5a6 6 0 01-.3 1.9M12 17.5V21M4 4l16 16',
  speaker: 'M4 9.5v5h3.5L12 18.5v-13L7.5 9.5H4zM15.5 9a4 4 0 010 6M18 6.5a8 8 0 010 11',
  bluetooth: 'M7 8l10 8-5 4V4l5 4L7 16',
  headset: 'M5 15v-3a7 7 0 0114 0v3M5 14h2.5v5H6.5A1.5 1.5 0 015 17.5V14zM19 14h-2.5v5h1a1.5 1.5 0 001.5-1.5V14z',
  lock: 'M7 11V8a5 5 0 0110 0v3M6 11h12v9H6zM12 15v1.5',
  shield: 'M12 3.5l7 2.5v5.5c0 4.3-2.9 7.7-7 9-4.1-1.3-7-4.7-7-9V6l7-2.5z',
  verified: 'M12 3.5l7 2.5v5.5c0 4.3-2.9 7.7-7 9-4.1-1.3-7-4.7-7-9V6l7-2.5zM8.7 12l2.4 2.4 4.3-4.6',
  shieldAlert: 'M12 3.5l7 2.5v5.5c0 4.3-2.9 7.7-7 9-4.1-1.3-7-4.7-7-9V6l7-2.5zM12 8.5v4M12 15.5v.2',
  timer: 'M12 21a7.5 7.5 0 100-15 7.5 7.5 0 000 15zM12 9.5v4l2.5 1.5M9.5 3h5',
  bell: 'M6 16.5V11a6 6 0 0112 0v5.5l1.5 1.5h-15L6 16.5zM10 20.5h4',
  bellOff: 'M6 16.5V11c0-1 .2-2 .7-2.8M9.5 5.5A6 6 0 0118 11v3.5M4.5 18H17M10 20.5h4M4 4l16 16',
  archive: 'M4 5h16v4H4zM5.5 9v10h13V9M10 13h4',
  trash: 'M5 7h14M9.5 7V4.5h5V7M6.5 7l.8 12.5h9.4L17.5 7M10 11v5M14 11v5',
  pencil: 'M4.5 19.5l1-4L16 5l3 3L8.5 18.5l-4 1zM13.5 7.5l3 3',
  reply: 'M9.5 7L4.5 12l5 5M5 12h8.5c3.5 0 6 2.2 6 5.5',
  copy: 'M9 9h10v11H9zM15 9V4.5H5V15h4',
  smile: 'M12 21a9 9 0 100-18 9 9 0 000 18zM8.5 14.2a4.3 4.3 0 007 0M9 9.5v.3M15 9.5v.3',
  qr: 'M4 4h6v6H4zM14 4h6v6h-6zM4 14h6v6H4zM14 14h2.5v2.5M20 14v2M14 20h1M18 18h2v2',
  scan: 'M4 8V5.5A1.5 1.5 0 015.5 4H8M16 4h2.5A1.5 1.5 0 0120 5.5V8M20 16v2.5a1.5 1.5 0 01-1.5 1.5H16M8 20H5.5A1.5 1.5 0 014 18.5V16M4 12h16',
  key: 'M8 19a4 4 0 100-8 4 4 0 000 8zM11 12.2L19.5 4M16 7.5l2.5 2.5',
  person: 'M12 12a4 4 0 100-8 4 4 0 000 8zM4.5 20c.6-3.7 3.7-6 7.5-6s6.9 2.3 7.5 6',
  people: 'M9 12a3.5 3.5 0 100-7 3.5 3.5 0 000 7zM2.5 19.5C3 16.3 5.7 14.5 9 14.5s6 1.8 6.5 5M15.5 5.3a3.5 3.5 0 010 6.4M17.5 14.8c2.1.6 3.6 2.2 4 4.7',
  block: 'M12 21a9 9 0 100-18 9 9 0 000 18zM5.7 5.7l12.6 12.6',
  settings: 'M4 7h9M17 7h3M4 17h3M11 17h9M15 9.5a2.5 2.5 0 100-5 2.5 2.5 0 000 5zM9 19.5a2.5 2.5 0 100-5 2.5 2.5 0 000 5z',
  chats: 'M12 4c-4.7 0-8.5 3.1-8.5 7 0 2.2 1.2 4.1 3 5.4-.1 1.1-.6 2-1.3 2.8 1.7-.1 3.2-.7 4.3-1.6.8.2 1.6.3 2.5.3 4.7 0 8.5-3.1 8.5-6.9S16.7 4 12 4z',
  palette: 'M12 3.5a8.5 8.5 0 000 17c1.2 0 1.8-.8 1.8-1.7 0-1.3-1-1.5-1-2.6 0-.9.7-1.5 1.7-1.5H17a3.5 3.5 0 003.5-3.6c0-4.3-3.8-7.6-8.5-7.6zM7.5 12v.2M10 8v.2M14.5 8v.2',
  offline: 'M3 8.5a13 13 0 014-2.4M10.5 5.2c3.9-.5 7.7.7 10.5 3.3M6.5 12.5a8 8 0 013-1.8M14 10.7a8 8 0 013.5 1.8M12 18.5v.2M9.5 15.7a4 4 0 015 0M4 4l16 16',
  link: 'M10 14a4 4 0 005.7 0l3-3a4 4 0 00-5.7-5.7l-1 1M14 10a4 4 0 00-5.7 0l-3 3a4 4 0 005.7 5.7l1-1',
  more: 'M12 5.5v.2M12 12v.2M12 18.5v.2',
  down: 'M12 5v14M6 13l6 6 6-6',
  outgoing: 'M7 17L17 7M9 7h8v8',
  incoming: 'M17 7L7 17M15 17H7V9',
  missed: 'M4 8l6 6L20 5M14.5 5H20v5.5',
  server: 'M4 5h16v6H4zM4 13h16v6H4zM7.5 8v.2M7.5 16v.2',
  transfer: 'M7 4v13M3.5 13.5L7 17l3.5-3.5M17 20V7M13.5 10.5L17 7l3.5 3.5',
  plus: 'M12 5v14M5 12h14',
  book: 'M6 4h12v16H6zM9 8h6M9 12h6M6 16h12',
  pulse: 'M3 12h4l2.5-6 5 12 2.5-6h4',
} as const;

export type IconName = keyof typeof PATHS;

const POINTING: ReadonlySet<IconName> = new Set<IconName>(['back', 'forward', 'send', 'reply', 'outgoing', 'incoming', 'missed']);
const FILLED_DOTS: ReadonlySet<IconName> = new Set<IconName>(['more']);

interface Props {
  readonly name: IconName;
  readonly size?: number;
  readonly colour: string;
}

export const Icon = memo(function Icon({ name, size = 24, colour }: Props): ReactElement {
  const { rtl } = useLook();
  const turned = rtl && POINTING.has(name);
  return (
    <Svg width={size} height={size} viewBox="0 0 24 24" style={[{ flexShrink: 0 }, turned && { transform: [{ scaleX: -1 }] }]}>
      <Path d={PATHS[name]} stroke={colour} strokeWidth={FILLED_DOTS.has(name) ? 2.6 : 1.7} strokeLinecap="round" strokeLinejoin="round" fill="none" />
    </Svg>
  );
});

/** The app's mark: a hairpin in a speech bubble, the sign for getting softer. */
export function Mark({ size, ground, line }: { readonly size: number; readonly ground: string; readonly line: string }): ReactElement {
  return (
    <Svg width={size} height={size} viewBox="14 18 80 80">
      <Path
        d="M54 22c-19.9 0-36 13.4-36 30 0 9.2 5 17.4 12.8 22.9-.5 4.6-2.3 8.3-5.2 11.4-.7.8-.1 2 .9 1.9 6.8-.6 12.6-3 16.9-6.7 3.4.7 7 1.1 10.6 1.1 19.9 0 36-13.8 36-30.6S73.9 22 54 22z"
        fill={ground}
      />
      <Path d="M36 41L73 52 36 63" fill="none" stroke={line} strokeWidth={5} strokeLinecap="round" strokeLinejoin="round" />
    </Svg>
  );
}
