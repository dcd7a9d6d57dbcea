/**
 * The client as screens and commands see it. Everything that goes in or comes out is JSON (no bytes, no dates, no undefined
 * in results), so the same interface is served in the process of the phone and through a socket to a core in another process.
 *
 * Reading is by asking, change is by being told *that* something changed (`Change` names what to ask for again, and carries
 * no text of anybody). A failed call rejects with a SottovoceError whose `code` screens turn into words.
 * Times are seconds since 1970, UTC; `peer` is an account id; message ids are the ids inside the encryption.
 */
export interface Messenger {
  // --- the account
  account(): Promise<AccountView | null>;
  /** What an invite leads to, from its link and the relay's own word. @throws CannotDo `bad_link`, RelayUnreachable */
  inspectInvite(link: string): Promise<InviteView>;
  /** May be repeated after any failure; steps are told as `progress` of task `join`. `number` is E.164 and stays here. */
  join(request: { readonly invite: string; readonly name: string; readonly number: string | null }): Promise<AccountView>;
  /** Back into an account whose phone is gone: new keys, same account, mailbox emptied. `invite` is any link of that relay. */
  recover(request: { readonly invite: string; readonly name: string; readonly account: string | null; readonly number: string | null; readonly recoveryCode: string }): Promise<AccountView>;
  /** 56 letters and digits in groups of four; another one after every recovery. */
  recoveryCode(): Promise<string>;
  /** Whether it was typed in right; remembered, so that the app need not ask again. @throws CannotDo `mistyped_code` when it is no recovery code at all */
  confirmRecoveryCode(typed: string): Promise<boolean>;
  /** Contacts are told inside the encryption, over ten minutes. @throws CannotDo `bad_name` */
  setName(name: string): Promise<void>;
  /** At the relay, then here. @throws RelayUnreachable, RelayRefused: begun, and gone on with by the same call or the next `start` */
  deleteAccount(): Promise<void>;
  /**
   * An archive for a new phone at `file`, restored once as a test before this resolves. Answers the code that opens it,
   * 64 letters and digits in groups of four. This phone then rests (`elsewhere`), so that nothing arrives here that the archive does not have;
   * `reconnect` goes on here. @throws CannotDo `file_exists`, `no_file`, SottovoceError `archive_test_failed`
   */
  exportArchive(file: string): Promise<{ readonly code: string; readonly messages: number; readonly contacts: number }>;
  /** @throws CannotDo `wrong_code`, `damaged_archive`, `other_version`, `already_joined`, `no_file`, SottovoceError `import_failed`; nothing is overwritten then */
  importArchive(file: string, code: string): Promise<AccountView>;

  // --- being connected
  start(): Promise<void>;
  stop(): Promise<void>;
  /** In the background the core is sparing: no typing, longer waits between tries. */
  setForeground(foreground: boolean): Promise<void>;
  /** Connects again now, also after `elsewhere`, and after an archive was made: it is out of date then. */
  reconnect(): Promise<void>;
  connection(): Promise<ConnectionView>;
  /** Sends itself a message through the whole path. @throws SottovoceError when it did not come back */
  probe(): Promise<ConnectionView>;

  // --- conversations
  /** Newest first; archived ones apart. */
  conversations(filter: { readonly archived: boolean }): Promise<readonly ConversationView[]>;
  conversation(peer: string): Promise<ConversationView>;
  /** A page in ascending order, that ends before the cursor (null: the newest). */
  messages(peer: string, page: { readonly before: number | null; readonly limit: number }): Promise<MessagePage>;
  /** Full-text search, newest first. */
  search(query: string, options: { readonly peer: string | null; readonly limit: number }): Promise<readonly SearchHit[]>;
  /** Queues durably and answers the message's id. @throws CannotDo `no_contact`, `identity_unconfirmed`, `blocked`, SottovoceError `too_long` */
  send(peer: string, message: { readonly text: string; readonly quotes: string | null }): Promise<string>;
  /** Only own texts, within 24 h. @throws CannotDo `not_yours`, `too_late` */
  edit(peer: string, id: string, text: string): Promise<void>;
  deleteForMe(peer: string, ids: readonly string[]): Promise<void>;
  deleteForEveryone(peer: string, id: string): Promise<void>;
  /** One reaction a person and message; null takes it back. */
  react(peer: string, id: string, emoji: string | null): Promise<void>;
  retry(peer: string, id: string): Promise<void>;
  setDraft(peer: string, text: string): Promise<void>;
  /** Everything up to this row was seen: unread counts go down, timers start, read receipts are due. */
  markRead(peer: string, upToRow: number): Promise<void>;
  setTyping(peer: string, typing: boolean): Promise<void>;
  /** Disappearing messages; 0 is off. */
  setTimer(peer: string, seconds: number): Promise<void>;
  setArchived(peer: string, archived: boolean): Promise<void>;
  deleteConversation(peer: string): Promise<void>;

  // --- people
  contacts(): Promise<readonly ContactView[]>;
  /** @throws CannotDo `no_contact` */
  contact(peer: string): Promise<ContactView>;
  /** The link (and QR code) that adds this member, and verifies in one step when it is scanned in person. */
  card(): Promise<string>;
  /** `inPerson`: scanned from their screen, so it verifies as well. @throws CannotDo `bad_link`, `own_card`, NotTrusted `identity_changed` */
  addByCard(link: string, inPerson: boolean): Promise<ContactView>;
  setContactName(peer: string, name: string | null): Promise<void>;
  /** Asks the relay, blinded, which of these numbers (E.164) are members; progress of task `discover`. Only new numbers are asked for. */
  discover(book: readonly { readonly number: string; readonly name: string | null }[]): Promise<readonly ContactView[]>;
  acceptRequest(peer: string): Promise<void>;
  block(peer: string): Promise<void>;
  unblock(peer: string): Promise<void>;
  /** Seconds since 1970 until when; null ends it. */
  mute(peer: string, until: number | null): Promise<void>;
  safetyNumber(peer: string): Promise<SafetyNumberView>;
  /** Whether the scanned code (as read, base64url) fits; verifies if it does. */
  compareSafetyCode(peer: string, scanned: string): Promise<boolean>;
  setVerified(peer: string, verified: boolean): Promise<void>;
  /** "I have seen that their key changed": sending goes on with the new one. */
  confirmIdentity(peer: string): Promise<void>;

  // --- calls
  calls(): Promise<readonly CallRow[]>;
  /** The call that is going on, at most one. */
  call(): Promise<CallView | null>;
  startCall(peer: string): Promise<CallView>;
  answerCall(id: string): Promise<void>;
  /** Declines what rings, ends what stands. */
  endCall(id: string): Promise<void>;
  setMuted(id: string, muted: boolean): Promise<void>;
  forgetCalls(): Promise<void>;

  // --- settings
  settings(): Promise<SettingsView>;
  changeSettings(change: Partial<SettingsView>): Promise<SettingsView>;

  /** Told after what changed is on disk. The returned function ends it. */
  subscribe(listener: (change: Change) => void): () => void;
}

export interface AccountView {
  readonly account: string;
  readonly name: string;
  readonly number: string | null;
  readonly relayUrl: string;
  readonly relayName: string;
  readonly recoveryConfirmed: boolean;
}

export interface InviteView {
  readonly relayUrl: string;
  readonly relayName: string;
  /** Whether the relay can find people by number. */
  readonly discovery: boolean;
  readonly calls: boolean;
}

export interface ConnectionView {
  readonly state: 'off' | 'connecting' | 'online' | 'waiting' | 'elsewhere' | 'revoked';
  /** Everything that waited at the relay has been read. */
  readonly caughtUp: boolean;
  /** When a message last made the whole way, a probe included. */
  readonly deliveredAt: number | null;
  readonly probedAt: number | null;
  readonly probeFailed: boolean;
}

export interface ConversationView {
  readonly peer: string;
  readonly name: string;
  readonly preview: Preview | null;
  readonly at: number | null;
  readonly unread: number;
  /** A stranger's first message, until accepted. */
  readonly request: boolean;
  readonly blocked: boolean;
  readonly mutedUntil: number | null;
  readonly archived: boolean;
  readonly verified: boolean;
  /** `changed`: shown as a banner; `unconfirmed`: they were verified, nothing is sent until confirmed. */
  readonly identity: 'same' | 'changed' | 'unconfirmed';
  readonly draft: string;
  readonly typing: boolean;
  readonly timerS: number;
  /** Whether messages can leave; false shows why nobody answers. */
  readonly reachable: boolean;
}

/** Words are the screen's: only `text` is somebody's. */
export interface Preview {
  readonly kind: MessageKind;
  readonly mine: boolean;
  readonly text: string | null;
  readonly state: MessageStatus;
}

export type MessageKind = 'text' | 'deleted' | 'undecryptable' | 'session_reset' | 'identity_changed' | 'timer' | 'call';
export type MessageStatus = 'received' | 'queued' | 'sent' | 'delivered' | 'read' | 'failed';

export interface MessageView {
  /** Position in the conversation, ascending: what `before` and `upToRow` take. */
  readonly row: number;
  readonly id: string;
  readonly kind: MessageKind;
  readonly mine: boolean;
  readonly text: string | null;
  readonly at: number;
  readonly status: MessageStatus;
  /** A code: why it failed or could not be read. */
  readonly reason: string | null;
  readonly edited: boolean;
  readonly quote: { readonly id: string; readonly mine: boolean; readonly text: string | null } | null;
  readonly reactions: readonly { readonly emoji: string; readonly mine: boolean }[];
  readonly expiresAt: number | null;
  readonly timerS: number;
  readonly call: { readonly outcome: CallOutcome; readonly seconds: number } | null;
}

export interface MessagePage {
  readonly messages: readonly MessageView[];
  /** The cursor of the page before this one; null at the beginning. */
  readonly before: number | null;
}

export interface SearchHit {
  readonly peer: string;
  readonly message: MessageView;
  /** The text around the match, with the match between U+2068 and U+2069. */
  readonly excerpt: string;
}

export interface ContactView {
  readonly peer: string;
  /** What to show: the member's own choice, else the address book's name, else the profile's. */
  readonly name: string;
  readonly profileName: string | null;
  readonly number: string | null;
  /** Evaluation and look-up gave this account for that number. */
  readonly numberConfirmed: boolean;
  readonly verified: boolean;
  readonly request: boolean;
  readonly blocked: boolean;
  readonly mutedUntil: number | null;
  readonly identity: ConversationView['identity'];
  readonly reachable: boolean;
}

export interface SafetyNumberView {
  /** 60 digits in twelve groups of five. */
  readonly groups: readonly string[];
  /** What the QR code holds, base64url. */
  readonly code: string;
}

export type CallOutcome = 'answered' | 'missed' | 'declined' | 'busy' | 'no_answer' | 'failed';

export interface CallRow {
  readonly id: string;
  readonly peer: string;
  readonly name: string;
  readonly outgoing: boolean;
  readonly outcome: CallOutcome;
  readonly at: number;
  readonly seconds: number;
}

export interface CallView {
  readonly id: string;
  readonly peer: string;
  readonly name: string;
  readonly outgoing: boolean;
  readonly state: 'dialing' | 'ringing' | 'connecting' | 'connected' | 'reconnecting' | 'ended';
  /** Once ended. */
  readonly outcome: CallOutcome | null;
  readonly reason: string | null;
  readonly connectedAt: number | null;
  readonly muted: boolean;
  /** Nothing but the relay's address is known to the other side. */
  readonly relayOnly: boolean;
  /** The media's fingerprints came over the libsignal session, from a contact whose safety number was compared. */
  readonly verified: boolean;
  readonly quality: { readonly roundTripMs: number; readonly lossPercent: number; readonly jitterMs: number } | null;
}

export interface SettingsView {
  readonly deliveryReceipts: boolean;
  readonly readReceipts: boolean;
  readonly typing: boolean;
  /** Whether somebody who knows only the number may write. */
  readonly strangers: boolean;
  /** Direct media shows the network address to the other person. */
  readonly directCalls: boolean;
  /** Of new conversations; 0 is off. */
  readonly timerS: number;
}

export type Change =
  | { readonly topic: 'account' | 'conversations' | 'contacts' | 'settings' | 'connection' | 'calls' | 'call' }
  /** Also its line among the conversations. */
  | { readonly topic: 'conversation'; readonly peer: string }
  /** A new message of somebody else became visible: what a notification is made of. */
  | { readonly topic: 'message'; readonly peer: string; readonly id: string }
  | { readonly topic: 'progress'; readonly task: 'join' | 'recover' | 'discover' | 'export' | 'import'; readonly step: string; readonly done: number; readonly total: number }
  | { readonly topic: 'trouble'; readonly code: string };
