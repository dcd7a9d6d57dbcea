/** Something the device answers, asked when a screen opens and again when `turn` changes. */
import { useEffect, useRef, useState } from 'react';

import { codeOf } from './cache';

export function useAsked<T>(ask: () => Promise<T>, turn: number): { readonly data: T | undefined; readonly error: string | null } {
  const [answer, setAnswer] = useState<{ data: T | undefined; error: string | null }>({ data: undefined, error: null });
  const latest = useRef(ask);
  useEffect(() => {
    latest.current = ask;
  });
  useEffect(() => {
    let current = true;
    latest.current().then(
      (data) => current && setAnswer({ data, error: null }),
      (error: unknown) => current && setAnswer({ data: undefined, error: codeOf(error) }),
    );
    return () => {
      current = false;
    };
  }, [turn]);
  return answer;
}
