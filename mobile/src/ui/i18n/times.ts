/** Times as people say them: short in lists, whole for screen readers. All in the phone's own zone. */
import type { Translate } from './words';

/** How the phone writes dates and times: its tag (BCP 47), and whether its clock goes to 24; null leaves that to the tag. */
export interface Locale {
  readonly tag: string;
  readonly clock24: boolean | null;
}

const DAY_S = 86_400;

function startOfDay(date: Date): number {
  return new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime() / 1000;
}

/** Whole days from `at` to `now` by the calendar, not by 24 hours. */
function daysAgo(at: number, now: number): number {
  return Math.round((startOfDay(new Date(now * 1000)) - startOfDay(new Date(at * 1000))) / DAY_S);
}

const format = (locale: Locale, at: number, options: Intl.DateTimeFormatOptions): string => new Intl.DateTimeFormat(locale.tag, options).format(new Date(at * 1000));

function hours({ clock24 }: Locale): Intl.DateTimeFormatOptions {
  return clock24 === null ? { hour: 'numeric', minute: '2-digit' } : { hour: clock24 ? '2-digit' : 'numeric', minute: '2-digit', hourCycle: clock24 ? 'h23' : 'h12' };
}

export const clockTime = (locale: Locale, at: number): string => format(locale, at, hours(locale));

/** For a line in a list: a time today, then yesterday, a weekday, a date. */
export function listTime(locale: Locale, t: Translate, at: number, now: number): string {
  const days = daysAgo(at, now);
  if (days <= 0) return clockTime(locale, at);
  if (days === 1) return t('time.yesterday');
  if (days < 7) return format(locale, at, { weekday: 'short' });
  const sameYear = new Date(at * 1000).getFullYear() === new Date(now * 1000).getFullYear();
  return format(locale, at, sameYear ? { day: 'numeric', month: 'short' } : { day: '2-digit', month: '2-digit', year: '2-digit' });
}

/** Between two days of a conversation. */
export function dayTitle(locale: Locale, t: Translate, at: number, now: number): string {
  const days = daysAgo(at, now);
  if (days <= 0) return t('time.today');
  if (days === 1) return t('time.yesterday');
  const sameYear = new Date(at * 1000).getFullYear() === new Date(now * 1000).getFullYear();
  return format(locale, at, { weekday: 'long', day: 'numeric', month: 'long', ...(sameYear ? {} : { year: 'numeric' }) });
}

export const sameDay = (one: number, other: number): boolean => daysAgo(one, other) === 0;

export const fullTime = (locale: Locale, at: number): string => format(locale, at, { day: 'numeric', month: 'long', ...hours(locale) });

/** "4:07", "1:02:07": of a call. */
export function callLength(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value: number): string => String(value).padStart(2, '0');
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** The times that disappearing messages offer, in seconds. */
export const TIMERS = [0, 30, 300, 3600, 28_800, DAY_S, 7 * DAY_S, 28 * DAY_S] as const;

export function duration(t: Translate, seconds: number): string {
  if (seconds <= 0) return t('time.off');
  if (seconds < 60) return t('time.seconds', { count: seconds });
  if (seconds < 3600) return t('time.minutes', { count: Math.round(seconds / 60) });
  if (seconds < DAY_S) return t('time.hours', { count: Math.round(seconds / 3600) });
  if (seconds < 7 * DAY_S) return t('time.days', { count: Math.round(seconds / DAY_S) });
  return t('time.weeks', { count: Math.round(seconds / (7 * DAY_S)) });
}
