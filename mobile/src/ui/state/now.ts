/** The time in seconds, renewed each minute: "yesterday" becomes true while a list is open. */
import { useSyncExternalStore } from 'react';

let now = Math.floor(Date.now() / 1000);
const watchers = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | null = null;

function watch(told: () => void): () => void {
  watchers.add(told);
  timer ??= setInterval(() => {
    now = Math.floor(Date.now() / 1000);
    for (const each of [...watchers]) each();
  }, 60_000);
  return () => {
    watchers.delete(told);
    if (watchers.size === 0 && timer !== null) {
      clearInterval(timer);
      timer = null;
    }
  };
}

export const useNow = (): number => useSyncExternalStore(watch, () => now, () => now);
