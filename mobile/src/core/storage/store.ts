/**
 * Every SQL statement of the core, named. Reads answer rows; writes answer statements, so that a unit of work can put
 * several of them into one transaction.
 */
import type { Database, SqlValue, Statement } from '../ports.ts';
import { asAccount, asContact, asMessage, asOutboxItem, asPreKey, Row } from './rows.ts';
import type { Account, Contact, Message, MessageState, OutboxItem, PreKeyKind, StoredPreKey } from './rows.ts';

/** The relay keeps mail for 30 days and accepts ids up to 48 hours old; past 33 days nothing can come again. */
const SEEN_FOR_S = 33 * 86_400;

export class Store {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  write(statements: readonly Statement[]): Promise<void> {
    return this.#database.write(statements);
  }

  async #rows(sql: string, params: Readonly<Record<string, SqlValue>> = {}): Promise<readonly Row[]> {
    return (await this.#database.read({ sql, params })).map((raw) => new Row(raw));
  }

  async #row<T>(as: (row: Row) => T, sql: string, params: Readonly<Record<string, SqlValue>> = {}): Promise<T | null> {
    const [row] = await this.#rows(sql, params);
    return row ? as(row) : null;
  }

  // --- reads

  account(): Promise<Account | null> {
    return this.#row(asAccount, 'SELECT * FROM account');
  }

  contact(account: string): Promise<Contact | null> {
    return this.#row(asContact, 'SELECT * FROM contact WHERE account_id = :account', { account });
  }

  async contacts(): Promise<readonly Contact[]> {
    return (await this.#rows('SELECT * FROM contact ORDER BY name, account_id')).map(asContact);
  }

  session(account: string): Promise<Uint8Array | null> {
    return this.#row((row) => row.blob('record'), 'SELECT record FROM session WHERE account_id = :account', { account });
  }

  preKey(kind: PreKeyKind, id: number): Promise<StoredPreKey | null> {
    return this.#row(asPreKey, 'SELECT * FROM prekey WHERE kind = :kind AND id = :id', { kind, id });
  }

  async preKeys(kind: PreKeyKind): Promise<readonly StoredPreKey[]> {
    return (await this.#rows('SELECT * FROM prekey WHERE kind = :kind ORDER BY id', { kind })).map(asPreKey);
  }

  async baseKeySeen(kyberId: number, signedId: number, baseKey: Uint8Array): Promise<boolean> {
    const sql = 'SELECT 1 AS one FROM last_resort_use WHERE kyber_id = :kyberId AND signed_id = :signedId AND base_key = :baseKey';
    return (await this.#rows(sql, { kyberId, signedId, baseKey })).length > 0;
  }

  async envelopeSeen(id: string): Promise<boolean> {
    return (await this.#rows('SELECT 1 AS one FROM seen_envelope WHERE id = :id', { id })).length > 0;
  }

  async contentSeen(peer: string, contentId: string): Promise<boolean> {
    const sql = `SELECT 1 AS one FROM message WHERE direction = 'in' AND peer = :peer AND content_id = :contentId`;
    return (await this.#rows(sql, { peer, contentId })).length > 0;
  }

  /** In the order they became known here. Without a peer: all of them. */
  async messages(peer?: string): Promise<readonly Message[]> {
    const rows =
      peer === undefined
        ? await this.#rows('SELECT * FROM message ORDER BY seq')
        : await this.#rows('SELECT * FROM message WHERE peer = :peer ORDER BY seq', { peer });
    return rows.map(asMessage);
  }

  message(direction: 'in' | 'out', contentId: string): Promise<Message | null> {
    return this.#row(asMessage, 'SELECT * FROM message WHERE direction = :direction AND content_id = :contentId', { direction, contentId });
  }

  /** The oldest `most` that may still leave, whether or not their time has come: order within a conversation is kept. */
  async outbox(peer: string, most: number): Promise<readonly OutboxItem[]> {
    const sql = `SELECT o.*, m.content_id, m.text, m.sent_at FROM outbox o JOIN message m USING (seq)
                 WHERE o.peer = :peer AND o.stage <> 'blocked' ORDER BY o.seq LIMIT :most`;
    return (await this.#rows(sql, { peer, most })).map(asOutboxItem);
  }

  async outboxPeers(): Promise<readonly string[]> {
    return (await this.#rows(`SELECT DISTINCT peer FROM outbox WHERE stage <> 'blocked'`)).map((row) => row.text('peer'));
  }

  async counts(): Promise<{ readonly received: number; readonly sent: number; readonly waiting: number; readonly blocked: number; readonly undecryptable: number }> {
    const sql = `SELECT count(*) FILTER (WHERE direction = 'in' AND kind = 'text') AS received,
                        count(*) FILTER (WHERE state = 'sent') AS sent,
                        count(*) FILTER (WHERE state = 'queued') AS waiting,
                        count(*) FILTER (WHERE state IN ('blocked', 'failed')) AS blocked,
                        count(*) FILTER (WHERE kind = 'undecryptable') AS undecryptable FROM message`;
    const [row] = await this.#rows(sql);
    const count = (column: string): number => row?.integer(column) ?? 0;
    return {
      received: count('received'),
      sent: count('sent'),
      waiting: count('waiting'),
      blocked: count('blocked'),
      undecryptable: count('undecryptable'),
    };
  }

  // --- writes

  createAccount(account: Omit<Account, 'accountId' | 'certificate' | 'certificateExpiresAt'>): Statement {
    return {
      sql: `INSERT INTO account (only_row, relay_url, trust_root, invite_code, name, secret, recovery_code, identity, identity_key,
                                 registration_id, contact_access_key, next_key_id)
            VALUES (1, :relayUrl, :trustRoot, :inviteCode, :name, :secret, :recoveryCode, :identity, :identityKey,
                    :registrationId, :contactAccessKey, :nextKeyId)`,
      params: { ...account },
    };
  }

  useInvite(relayUrl: string, trustRoot: Uint8Array, inviteCode: string, name: string): Statement {
    return {
      sql: `UPDATE account SET relay_url = :relayUrl, trust_root = :trustRoot, invite_code = :inviteCode, name = :name WHERE account_id IS NULL`,
      params: { relayUrl, trustRoot, inviteCode, name },
    };
  }

  registered(accountId: string): Statement {
    return { sql: 'UPDATE account SET account_id = :accountId WHERE account_id IS NULL', params: { accountId } };
  }

  saveCertificate(certificate: Uint8Array, expiresAt: number): Statement {
    return { sql: 'UPDATE account SET certificate = :certificate, certificate_expires_at = :expiresAt', params: { certificate, expiresAt } };
  }

  takeKeyIds(next: number): Statement {
    return { sql: 'UPDATE account SET next_key_id = :next', params: { next } };
  }

  addPreKey(key: StoredPreKey): Statement {
    return {
      sql: `INSERT INTO prekey (kind, id, record, public_key, signature)
            VALUES (:kind, :id, :record, :publicKey, :signature)`,
      params: { ...key },
    };
  }

  dropPreKey(kind: 'ec' | 'kyber', id: number): Statement {
    return { sql: 'DELETE FROM prekey WHERE kind = :kind AND id = :id', params: { kind, id } };
  }

  useLastResort(kyberId: number, signedId: number, baseKey: Uint8Array): Statement {
    return { sql: 'INSERT INTO last_resort_use VALUES (:kyberId, :signedId, :baseKey)', params: { kyberId, signedId, baseKey } };
  }

  saveSession(account: string, record: Uint8Array): Statement {
    return {
      sql: 'INSERT INTO session VALUES (:account, :record) ON CONFLICT (account_id) DO UPDATE SET record = excluded.record',
      params: { account, record },
    };
  }

  /** Fields that are null leave what is there. An identity key, once known, stays. */
  saveContact(contact: Pick<Contact, 'account'> & Partial<Omit<Contact, 'account'>>): Statement {
    return {
      sql: `INSERT INTO contact (account_id, name, identity_key, access_key, answered) VALUES (:account, :name, :identityKey, :accessKey, :answered)
            ON CONFLICT (account_id) DO UPDATE SET
              name = coalesce(excluded.name, name), identity_key = coalesce(identity_key, excluded.identity_key),
              access_key = coalesce(excluded.access_key, access_key), answered = max(answered, excluded.answered)`,
      params: {
        account: contact.account,
        name: contact.name ?? null,
        identityKey: contact.identityKey ?? null,
        accessKey: contact.accessKey ?? null,
        answered: contact.answered === true ? 1 : 0,
      },
    };
  }

  addMessage(message: Omit<Message, 'seq'>): Statement {
    return {
      sql: `INSERT INTO message (content_id, peer, direction, kind, text, sent_at, arrived_at, state, reason)
            VALUES (:contentId, :peer, :direction, :kind, :text, :sentAt, :arrivedAt, :state, :reason)`,
      params: { ...message },
    };
  }

  /** For the message of the same transaction. */
  addToOutbox(peer: string, contentId: string): Statement {
    return {
      sql: `INSERT INTO outbox (seq, peer, stage) SELECT seq, peer, 'queued' FROM message
            WHERE direction = 'out' AND peer = :peer AND content_id = :contentId`,
      params: { peer, contentId },
    };
  }

  outboxEncrypted(seq: number, messageType: number, ciphertext: Uint8Array, peerIdentity: Uint8Array): Statement {
    return {
      sql: `UPDATE outbox SET stage = 'encrypted', message_type = :messageType, ciphertext = :ciphertext, peer_identity = :peerIdentity WHERE seq = :seq`,
      params: { seq, messageType, ciphertext, peerIdentity },
    };
  }

  outboxSealed(seq: number, envelopeId: string, body: Uint8Array, sealedUntil: number): Statement {
    return {
      sql: `UPDATE outbox SET stage = 'sealed', envelope_id = :envelopeId, body = :body, sealed_until = :sealedUntil WHERE seq = :seq`,
      params: { seq, envelopeId, body, sealedUntil },
    };
  }

  /** Back to the session ciphertext: a fresh certificate and a new id are put around it. */
  outboxUnseal(seq: number, attempts: number, notBefore: number): Statement {
    return {
      sql: `UPDATE outbox SET stage = 'encrypted', envelope_id = NULL, body = NULL, sealed_until = NULL, attempts = :attempts, not_before = :notBefore
            WHERE seq = :seq`,
      params: { seq, attempts, notBefore },
    };
  }

  outboxRetry(seq: number, attempts: number, notBefore: number): Statement {
    return { sql: 'UPDATE outbox SET attempts = :attempts, not_before = :notBefore WHERE seq = :seq', params: { seq, attempts, notBefore } };
  }

  messageState(seq: number, state: MessageState, reason: string | null): Statement {
    return { sql: 'UPDATE message SET state = :state, reason = :reason WHERE seq = :seq', params: { seq, state, reason } };
  }

  outboxDone(seq: number): Statement {
    return { sql: 'DELETE FROM outbox WHERE seq = :seq', params: { seq } };
  }

  outboxBlock(seq: number): Statement {
    return { sql: `UPDATE outbox SET stage = 'blocked' WHERE seq = :seq`, params: { seq } };
  }

  /** A new access key may open what was shut. What had been encrypted stays encrypted: its place in the ratchet is taken. */
  outboxUnblock(peer: string): readonly Statement[] {
    return [
      { sql: `UPDATE message SET state = 'queued', reason = NULL WHERE seq IN (SELECT seq FROM outbox WHERE peer = :peer AND stage = 'blocked')`, params: { peer } },
      {
        sql: `UPDATE outbox SET stage = iif(ciphertext IS NULL, 'queued', 'encrypted'), envelope_id = NULL, body = NULL, attempts = 0, not_before = 0
              WHERE peer = :peer AND stage = 'blocked'`,
        params: { peer },
      },
    ];
  }

  envelopeIsSeen(id: string, now: number): readonly Statement[] {
    return [
      { sql: 'INSERT INTO seen_envelope VALUES (:id, :now) ON CONFLICT DO NOTHING', params: { id, now } },
      { sql: 'DELETE FROM seen_envelope WHERE seen_at < :before', params: { before: now - SEEN_FOR_S } },
    ];
  }
}
