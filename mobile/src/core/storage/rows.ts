/** Rows of the database as the core uses them, and how a column becomes a typed value. */
import { SottovoceError } from '../errors.ts';
import type { SqlValue } from '../ports.ts';

export interface Account {
  readonly relayUrl: string;
  readonly trustRoot: Uint8Array;
  readonly inviteCode: string;
  readonly name: string;
  readonly accountId: string | null;
  readonly secret: Uint8Array;
  readonly recoveryCode: Uint8Array;
  readonly identity: Uint8Array;
  readonly identityKey: Uint8Array;
  readonly registrationId: number;
  readonly contactAccessKey: Uint8Array;
  readonly nextKeyId: number;
  readonly certificate: Uint8Array | null;
  readonly certificateExpiresAt: number | null;
}

export interface Contact {
  readonly account: string;
  readonly name: string | null;
  readonly identityKey: Uint8Array | null;
  readonly accessKey: Uint8Array | null;
  readonly answered: boolean;
}

export type PreKeyKind = 'signed' | 'ec' | 'kyber' | 'kyber_last_resort';

export interface StoredPreKey {
  readonly kind: PreKeyKind;
  readonly id: number;
  readonly record: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly signature: Uint8Array | null;
}

export type MessageState = 'received' | 'queued' | 'sent' | 'blocked' | 'failed';

export interface Message {
  readonly seq: number;
  readonly contentId: string;
  readonly peer: string | null;
  readonly direction: 'in' | 'out';
  readonly kind: 'text' | 'undecryptable';
  readonly text: string | null;
  readonly sentAt: number;
  readonly arrivedAt: number | null;
  readonly state: MessageState;
  readonly reason: string | null;
}

export interface OutboxItem {
  readonly seq: number;
  readonly peer: string;
  readonly stage: 'queued' | 'encrypted' | 'sealed' | 'blocked';
  readonly messageType: number | null;
  readonly ciphertext: Uint8Array | null;
  readonly peerIdentity: Uint8Array | null;
  readonly envelopeId: string | null;
  readonly body: Uint8Array | null;
  readonly sealedUntil: number | null;
  readonly attempts: number;
  readonly notBefore: number;
  /** Of the message it carries. */
  readonly contentId: string;
  readonly text: string;
  readonly sentAt: number;
}

type Raw = Readonly<Record<string, SqlValue>>;

/** Reads columns by name; a column of another type than expected is a fault of the program, not of the data. */
export class Row {
  readonly #raw: Raw;

  constructor(raw: Raw) {
    this.#raw = raw;
  }

  textOrNull(column: string): string | null {
    const value = this.#raw[column] ?? null;
    if (value !== null && typeof value !== 'string') throw new SottovoceError('database', `column ${column} is not text`);
    return value;
  }

  integerOrNull(column: string): number | null {
    const value = this.#raw[column] ?? null;
    if (value !== null && typeof value !== 'number') throw new SottovoceError('database', `column ${column} is not a number`);
    return value;
  }

  blobOrNull(column: string): Uint8Array | null {
    const value = this.#raw[column] ?? null;
    if (value !== null && !(value instanceof Uint8Array)) throw new SottovoceError('database', `column ${column} is not a blob`);
    return value;
  }

  text(column: string): string {
    return this.#there(column, this.textOrNull(column));
  }

  integer(column: string): number {
    return this.#there(column, this.integerOrNull(column));
  }

  blob(column: string): Uint8Array {
    return this.#there(column, this.blobOrNull(column));
  }

  #there<T>(column: string, value: T | null): T {
    if (value === null) throw new SottovoceError('database', `column ${column} is null`);
    return value;
  }
}

export function asContact(row: Row): Contact {
  return {
    account: row.text('account_id'),
    name: row.textOrNull('name'),
    identityKey: row.blobOrNull('identity_key'),
    accessKey: row.blobOrNull('access_key'),
    answered: row.integer('answered') === 1,
  };
}

export function asMessage(row: Row): Message {
  return {
    seq: row.integer('seq'),
    contentId: row.text('content_id'),
    peer: row.textOrNull('peer'),
    direction: row.text('direction') as Message['direction'],
    kind: row.text('kind') as Message['kind'],
    text: row.textOrNull('text'),
    sentAt: row.integer('sent_at'),
    arrivedAt: row.integerOrNull('arrived_at'),
    state: row.text('state') as MessageState,
    reason: row.textOrNull('reason'),
  };
}

export function asOutboxItem(row: Row): OutboxItem {
  return {
    seq: row.integer('seq'),
    peer: row.text('peer'),
    stage: row.text('stage') as OutboxItem['stage'],
    messageType: row.integerOrNull('message_type'),
    ciphertext: row.blobOrNull('ciphertext'),
    peerIdentity: row.blobOrNull('peer_identity'),
    envelopeId: row.textOrNull('envelope_id'),
    body: row.blobOrNull('body'),
    sealedUntil: row.integerOrNull('sealed_until'),
    attempts: row.integer('attempts'),
    notBefore: row.integer('not_before'),
    contentId: row.text('content_id'),
    text: row.text('text'),
    sentAt: row.integer('sent_at'),
  };
}

export function asPreKey(row: Row): StoredPreKey {
  return {
    kind: row.text('kind') as PreKeyKind,
    id: row.integer('id'),
    record: row.blob('record'),
    publicKey: row.blob('public_key'),
    signature: row.blobOrNull('signature'),
  };
}

export function asAccount(row: Row): Account {
  return {
    relayUrl: row.text('relay_url'),
    trustRoot: row.blob('trust_root'),
    inviteCode: row.text('invite_code'),
    name: row.text('name'),
    accountId: row.textOrNull('account_id'),
    secret: row.blob('secret'),
    recoveryCode: row.blob('recovery_code'),
    identity: row.blob('identity'),
    identityKey: row.blob('identity_key'),
    registrationId: row.integer('registration_id'),
    contactAccessKey: row.blob('contact_access_key'),
    nextKeyId: row.integer('next_key_id'),
    certificate: row.blobOrNull('certificate'),
    certificateExpiresAt: row.integerOrNull('certificate_expires_at'),
  };
}
