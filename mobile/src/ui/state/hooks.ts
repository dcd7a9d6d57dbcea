/** The Messenger's answers as hooks. Each says which changes concern it. */
import { createContext, useCallback, useContext, useEffect, useMemo, useState, useSyncExternalStore } from 'react';

import type { AccountView, CallRow, CallView, Change, ConnectionView, ContactView, ConversationView, Messenger, SettingsView } from '../../core/messenger.ts';
import { codeOf } from './cache';
import type { Answer, Cache, Question } from './cache';

export interface Client {
  readonly messenger: Messenger;
  readonly cache: Cache;
}

const ClientContext = createContext<Client | null>(null);
export const ClientProvider = ClientContext.Provider;

export function useClient(): Client {
  const client = useContext(ClientContext);
  if (!client) throw new Error('outside of the client');
  return client;
}

export const useMessenger = (): Messenger => useClient().messenger;

export interface Asked<T> extends Answer<T> {
  readonly retry: () => void;
}

function useQuestion<T>(question: Question<T>): Asked<T> {
  const { cache } = useClient();
  const { key } = question;
  // A question with the same key is the same: its functions need no comparison.
  // eslint-disable-next-line react-hooks/exhaustive-deps
  const stable = useMemo(() => question, [key]);
  const watch = useCallback((told: () => void) => cache.watch(stable, told), [cache, stable]);
  const read = useCallback(() => cache.read<T>(key), [cache, key]);
  const answer = useSyncExternalStore(watch, read, read);
  const retry = useCallback(() => cache.retry(key), [cache, key]);
  return { ...answer, retry };
}

const on =
  (...topics: readonly Change['topic'][]) =>
  (change: Change): boolean =>
    topics.includes(change.topic);

const ofPeer =
  (peer: string, ...topics: readonly Change['topic'][]) =>
  (change: Change): boolean =>
    (change.topic === 'conversation' && change.peer === peer) || topics.includes(change.topic);

export const useAccount = (): Asked<AccountView | null> => useQuestion({ key: 'account', ask: (m) => m.account(), dependsOn: on('account') });

export const useConnection = (): Asked<ConnectionView> => useQuestion({ key: 'connection', ask: (m) => m.connection(), dependsOn: on('connection') });

export const useConversations = (archived: boolean): Asked<readonly ConversationView[]> =>
  useQuestion({ key: `conversations ${archived}`, ask: (m) => m.conversations({ archived }), dependsOn: on('conversations', 'conversation', 'contacts') });

export const useConversation = (peer: string): Asked<ConversationView> =>
  useQuestion({ key: `conversation ${peer}`, ask: (m) => m.conversation(peer), dependsOn: ofPeer(peer, 'contacts', 'conversations') });

export const useContacts = (): Asked<readonly ContactView[]> => useQuestion({ key: 'contacts', ask: (m) => m.contacts(), dependsOn: on('contacts') });

export const useContact = (peer: string): Asked<ContactView> => useQuestion({ key: `contact ${peer}`, ask: (m) => m.contact(peer), dependsOn: ofPeer(peer, 'contacts') });

export const useCard = (): Asked<string> => useQuestion({ key: 'card', ask: (m) => m.card(), dependsOn: on('account') });

export const useSafetyNumber = (peer: string): Asked<Awaited<ReturnType<Messenger['safetyNumber']>>> =>
  useQuestion({ key: `safety ${peer}`, ask: (m) => m.safetyNumber(peer), dependsOn: ofPeer(peer, 'contacts') });

export const useCalls = (): Asked<readonly CallRow[]> => useQuestion({ key: 'calls', ask: (m) => m.calls(), dependsOn: on('calls', 'contacts') });

export const useCall = (): Asked<CallView | null> => useQuestion({ key: 'call', ask: (m) => m.call(), dependsOn: on('call') });

export const useSettings = (): Asked<SettingsView> => useQuestion({ key: 'settings', ask: (m) => m.settings(), dependsOn: on('settings') });

/** Every change, as it comes. */
export function useChanges(listener: (change: Change) => void): void {
  const messenger = useMessenger();
  useEffect(() => messenger.subscribe(listener), [messenger, listener]);
}

/** The last step told of a long task, or null before the first. */
export function useProgress(task: Extract<Change, { topic: 'progress' }>['task']): { step: string; done: number; total: number } | null {
  const [progress, setProgress] = useState<{ step: string; done: number; total: number } | null>(null);
  useChanges(
    useCallback(
      (change) => {
        if (change.topic === 'progress' && change.task === task) setProgress({ step: change.step, done: change.done, total: change.total });
      },
      [task],
    ),
  );
  return progress;
}

export interface Action<Arguments extends readonly unknown[]> {
  readonly run: (...input: Arguments) => Promise<boolean>;
  readonly running: boolean;
  /** Code of the failure, until it is run again. */
  readonly error: string | null;
  readonly clear: () => void;
}

/** Something that is done by touching: under way, failed with a code, or done. Answers whether it was done. */
export function useAction<Arguments extends readonly unknown[]>(act: (messenger: Messenger, ...input: Arguments) => Promise<unknown>): Action<Arguments> {
  const messenger = useMessenger();
  const [state, setState] = useState<{ running: boolean; error: string | null }>({ running: false, error: null });
  const run = async (...input: Arguments): Promise<boolean> => {
    setState({ running: true, error: null });
    try {
      await act(messenger, ...input);
      setState({ running: false, error: null });
      return true;
    } catch (error) {
      setState({ running: false, error: codeOf(error) });
      return false;
    }
  };
  return { run, ...state, clear: () => setState({ running: false, error: null }) };
}
