/** What somebody has entered on the way in, over several screens. Gone when the app is. */
import { createContext, useContext, useMemo, useState } from 'react';
import type { ReactElement, ReactNode } from 'react';

import type { InviteView } from '../../core/messenger.ts';

export interface JoinDraft {
  readonly invite: string;
  readonly relay: InviteView | null;
  readonly name: string;
  /** ISO 3166-1, two letters. */
  readonly country: string | null;
  /** As typed, without the country's prefix. */
  readonly number: string;
}

interface Held {
  readonly draft: JoinDraft;
  readonly change: (part: Partial<JoinDraft>) => void;
}

const EMPTY: JoinDraft = { invite: '', relay: null, name: '', country: null, number: '' };
const DraftContext = createContext<Held>({ draft: EMPTY, change: () => undefined });

export function JoinDraftProvider({ children }: { readonly children: ReactNode }): ReactElement {
  const [draft, setDraft] = useState<JoinDraft>(EMPTY);
  const held = useMemo(() => ({ draft, change: (part: Partial<JoinDraft>) => setDraft((before) => ({ ...before, ...part })) }), [draft]);
  return <DraftContext.Provider value={held}>{children}</DraftContext.Provider>;
}

export const useJoinDraft = (): Held => useContext(DraftContext);
