/** The whole client behind the interface that screens see. Each part of it is a file in actions/; this only puts them together. */
import { AccountActions } from './actions/account.ts';
import type { AccountPart } from './actions/account.ts';
import { CallActions } from './actions/calls.ts';
import type { CallPart } from './actions/calls.ts';
import { ChatActions } from './actions/chat.ts';
import type { ChatPart } from './actions/chat.ts';
import { ConnectionActions } from './actions/connection.ts';
import type { ConnectionPart } from './actions/connection.ts';
import type { Core } from './actions/core.ts';
import { PeopleActions } from './actions/people.ts';
import type { PeoplePart } from './actions/people.ts';
import { SettingsActions } from './actions/settings.ts';
import type { SettingsPart } from './actions/settings.ts';
import { Client } from './client.ts';
import type { ClientEvent, Machine } from './client.ts';
import type { Change, Messenger } from './messenger.ts';
import { IdentifiedApi } from './relay_api.ts';
import { GatedDatabase } from './transfer/gate.ts';
import { Transfer } from './transfer/transfer.ts';
import { Typing } from './typing.ts';

interface Parts {
  readonly account: AccountPart;
  readonly connection: ConnectionPart;
  readonly chat: ChatPart;
  readonly people: PeoplePart;
  readonly calls: CallPart;
  readonly settings: SettingsPart;
}

/** Every method of the interface, bound to the part that has it: a part is a file, and this list is all there is to add to. */
function assemble({ account, connection, chat, people, calls, settings }: Parts): Omit<Messenger, 'subscribe'> {
  return {
    account: () => account.account(),
    inspectInvite: (link) => account.inspectInvite(link),
    join: (request) => account.join(request),
    recover: (request) => account.recover(request),
    recoveryCode: () => account.recoveryCode(),
    confirmRecoveryCode: (typed) => account.confirmRecoveryCode(typed),
    setName: (name) => account.setName(name),
    deleteAccount: () => account.deleteAccount(),
    exportArchive: (file) => account.exportArchive(file),
    importArchive: (file, code) => account.importArchive(file, code),

    start: () => connection.start(),
    stop: () => connection.stop(),
    setForeground: (foreground) => connection.setForeground(foreground),
    reconnect: () => connection.reconnect(),
    connection: () => connection.connection(),
    probe: () => connection.probe(),

    conversations: (filter) => chat.conversations(filter),
    conversation: (peer) => chat.conversation(peer),
    messages: (peer, page) => chat.messages(peer, page),
    search: (query, options) => chat.search(query, options),
    send: (peer, message) => chat.send(peer, message),
    edit: (peer, id, text) => chat.edit(peer, id, text),
    deleteForMe: (peer, ids) => chat.deleteForMe(peer, ids),
    deleteForEveryone: (peer, id) => chat.deleteForEveryone(peer, id),
    react: (peer, id, emoji) => chat.react(peer, id, emoji),
    retry: (peer, id) => chat.retry(peer, id),
    setDraft: (peer, text) => chat.setDraft(peer, text),
    markRead: (peer, upToRow) => chat.markRead(peer, upToRow),
    setTyping: (peer, typing) => chat.setTyping(peer, typing),
    setTimer: (peer, seconds) => chat.setTimer(peer, seconds),
    setArchived: (peer, archived) => chat.setArchived(peer, archived),
    deleteConversation: (peer) => chat.deleteConversation(peer),

    contacts: () => people.contacts(),
    contact: (peer) => people.contact(peer),
    card: () => people.card(),
    addByCard: (link, inPerson) => people.addByCard(link, inPerson),
    setContactName: (peer, name) => people.setContactName(peer, name),
    discover: (book) => people.discover(book),
    acceptRequest: (peer) => people.acceptRequest(peer),
    block: (peer) => people.block(peer),
    unblock: (peer) => people.unblock(peer),
    mute: (peer, until) => people.mute(peer, until),
    safetyNumber: (peer) => people.safetyNumber(peer),
    compareSafetyCode: (peer, scanned) => people.compareSafetyCode(peer, scanned),
    setVerified: (peer, verified) => people.setVerified(peer, verified),
    confirmIdentity: (peer) => people.confirmIdentity(peer),

    calls: () => calls.calls(),
    call: () => calls.call(),
    startCall: (peer) => calls.startCall(peer),
    answerCall: (id) => calls.answerCall(id),
    endCall: (id) => calls.endCall(id),
    setMuted: (id, muted) => calls.setMuted(id, muted),
    forgetCalls: () => calls.forgetCalls(),

    settings: () => settings.settings(),
    changeSettings: (change) => settings.changeSettings(change),
  };
}

export interface App extends Messenger {
  /** For tools and tests that look behind the interface. */
  readonly client: Client;
  /** Calls beyond the interface: networks that change, and tools. */
  readonly voice: Pick<CallActions, 'networkChanged' | 'fetchTurn'>;
}

/** Opens the app's data on a machine. `onEvent` hears what the client tells, beside the changes; for tools. */
export async function openApp(given: Machine, onEvent: (event: ClientEvent) => void = () => undefined): Promise<App> {
  const listeners = new Set<(change: Change) => void>();
  const changed = (...changes: readonly Change[]): void => {
    for (const change of changes) for (const listener of [...listeners]) listener(change);
  };
  const database = new GatedDatabase(given.database);
  const machine: Machine = { ...given, database };
  let heard: (event: ClientEvent) => void = () => undefined;
  const client = await Client.open(machine, (event) => {
    heard(event);
    onEvent(event);
  });
  const core: Core = { client, store: client.store, changed };
  const typing = new Typing(client, machine.clock, (peer) => changed({ topic: 'conversation', peer }));
  const transfer = new Transfer({ ...machine, database, files: machine.files ?? null, api: (relayUrl) => new IdentifiedApi(machine.identified.http, relayUrl), tell: changed });
  await transfer.rollBack();
  const connection = new ConnectionActions(core, typing, transfer);
  const people = new PeopleActions(core);
  const calls = new CallActions(core, machine.calls ?? null);
  const parts: Parts = {
    account: new AccountActions(core, connection, transfer),
    connection,
    chat: new ChatActions(core, typing),
    people,
    calls,
    settings: new SettingsActions(core, people),
  };
  heard = (event) => {
    if (event.kind === 'connection') {
      connection.heard(event.connection);
      if (event.connection.kind === 'live') people.finishAccessChange();
    }
    if (event.kind === 'typing') typing.heard(event.peer, event.typing);
    else if (event.kind === 'message') typing.heard(event.peer, false);
    else if (event.kind === 'call') calls.heard(event.peer, event.signal);
    changed(...changesOf(event));
  };
  return {
    ...assemble(parts),
    start: async () => {
      await connection.start();
      await calls.start();
    },
    stop: async () => {
      await calls.stop(); // a hang-up still has to leave
      await connection.stop();
      await people.settled();
    },
    client,
    voice: calls,
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** Which of the client's events are changes to somebody who looks at a screen. */
function changesOf(event: ClientEvent): readonly Change[] {
  switch (event.kind) {
    case 'message':
      return [
        { topic: 'conversation', peer: event.peer },
        { topic: 'message', peer: event.peer, id: event.message.contentId },
      ];
    case 'undecryptable':
      return event.peer === null ? [{ topic: 'trouble', code: 'undecryptable' }] : [{ topic: 'conversation', peer: event.peer }];
    case 'conversation':
      return [{ topic: 'conversation', peer: event.peer }];
    case 'contact':
      return [{ topic: 'contacts' }, { topic: 'conversation', peer: event.peer }];
    case 'sending':
      return [{ topic: 'conversation', peer: event.sending.peer }];
    case 'health':
      return [{ topic: 'connection' }];
    case 'trouble':
      return [{ topic: 'trouble', code: 'internal' }];
    default:
      return [];
  }
}
