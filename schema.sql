-- The whole schema of a relay, for PostgreSQL 15 and later. A change of it comes with a file in relay/migrations/.
-- Every column says what it holds. What is not here, the relay does not store: no sender of any envelope, no phone number,
-- no address, no time finer than what a column says. Every table is keyed by the account it belongs to, so it can be
-- distributed by that key; no statement of the hot path joins or filters across accounts.

-- Accounts -------------------------------------------------------------------------------------------------------------

CREATE TABLE accounts (
    account_id           uuid PRIMARY KEY,
    token_hash           bytea NOT NULL CHECK (octet_length(token_hash) = 32),
    recovery_hash        bytea NOT NULL CHECK (octet_length(recovery_hash) = 32),
    phone_token          bytea UNIQUE CHECK (octet_length(phone_token) = 32),
    identity_key         bytea NOT NULL CHECK (octet_length(identity_key) = 33),
    registration_id      smallint NOT NULL CHECK (registration_id BETWEEN 1 AND 16383),
    contact_access_hash  bytea NOT NULL CHECK (octet_length(contact_access_hash) = 32),
    number_access_hash   bytea CHECK (octet_length(number_access_hash) = 32),
    registered_on        date NOT NULL,
    last_session_on      date,
    session_epoch        bigint NOT NULL DEFAULT 0,
    mailbox_was_full     boolean NOT NULL DEFAULT false,
    takes_full_at        timestamptz,
    recovered_by         bytea CHECK (octet_length(recovered_by) = 32)
) WITH (fillfactor = 80);  -- each session updates its row: with room in the page no index is touched by that
COMMENT ON TABLE accounts IS 'One row a member. Random account id; nothing in it leads to a person without secrets that are kept elsewhere.';
COMMENT ON COLUMN accounts.account_id IS 'random UUID, the name by which envelopes are addressed';
COMMENT ON COLUMN accounts.token_hash IS 'SHA-256 of the bearer token''s secret';
COMMENT ON COLUMN accounts.recovery_hash IS 'SHA-256 of the recovery code';
COMMENT ON COLUMN accounts.phone_token IS 'output of the oblivious function over the hashed number; null without a number';
COMMENT ON COLUMN accounts.identity_key IS 'public identity key (0x05 and 32 bytes)';
COMMENT ON COLUMN accounts.registration_id IS 'libsignal registration id, random, 14 bits';
COMMENT ON COLUMN accounts.contact_access_hash IS 'SHA-256 of the access key that contacts hold';
COMMENT ON COLUMN accounts.number_access_hash IS 'SHA-256 of the access key that follows from the number; null: closed to strangers';
COMMENT ON COLUMN accounts.registered_on IS 'day of registration';
COMMENT ON COLUMN accounts.last_session_on IS 'day of the last mailbox session';
COMMENT ON COLUMN accounts.session_epoch IS 'count of mailbox sessions since the last recovery: the newest one''s acks count, no older one''s; its high 32 bits count recoveries';
COMMENT ON COLUMN accounts.mailbox_was_full IS 'a post was refused because the mailbox was full, and the member has not been told yet';
COMMENT ON COLUMN accounts.takes_full_at IS 'when the allowance of prekey takes is full again (limits how fast strangers can use up one-time keys)';

COMMENT ON COLUMN accounts.recovered_by IS 'SHA-256 of the last recovery''s code and new secrets, so that it can be asked for again; null: never recovered';

CREATE TABLE invites (
    code_hash       bytea PRIMARY KEY CHECK (octet_length(code_hash) = 32),
    expires_at      timestamptz NOT NULL,
    uses_left       integer NOT NULL CHECK (uses_left >= 0),
    evaluations_left integer NOT NULL CHECK (evaluations_left >= 0),
    phone_token     bytea CHECK (octet_length(phone_token) = 32),
    registrations_full_at timestamptz
);
COMMENT ON TABLE invites IS 'Invites that the operator minted; rows go a day after they expire.';
COMMENT ON COLUMN invites.code_hash IS 'SHA-256 of the code in the link';
COMMENT ON COLUMN invites.expires_at IS 'no registration after this time';
COMMENT ON COLUMN invites.uses_left IS 'registrations that are left';
COMMENT ON COLUMN invites.evaluations_left IS 'evaluations of the oblivious function that are left to who has no account yet';
COMMENT ON COLUMN invites.phone_token IS 'the only phone token that may be registered with it; null: any, or none';
COMMENT ON COLUMN invites.registrations_full_at IS 'when its allowance of registrations is full again; null: it was not used yet';

CREATE TABLE registrations (
    code_hash       bytea NOT NULL CHECK (octet_length(code_hash) = 32),
    identity_key    bytea NOT NULL CHECK (octet_length(identity_key) = 33),
    account_id      uuid NOT NULL REFERENCES accounts ON DELETE CASCADE,
    expires_at      timestamptz NOT NULL,
    PRIMARY KEY (code_hash, identity_key)
);
COMMENT ON TABLE registrations IS 'So that a registration whose answer was lost can be asked for again; rows go with the invite.';
COMMENT ON COLUMN registrations.code_hash IS 'SHA-256 of the invite code that was used';
COMMENT ON COLUMN registrations.identity_key IS 'public identity key that was registered with it';
COMMENT ON COLUMN registrations.account_id IS 'the account that came of it';
COMMENT ON COLUMN registrations.expires_at IS 'when this row is forgotten';
CREATE INDEX registrations_by_account ON registrations (account_id);

CREATE TABLE allowances (
    account_id  uuid NOT NULL REFERENCES accounts ON DELETE CASCADE,
    what        text NOT NULL,
    full_at     timestamptz NOT NULL,
    PRIMARY KEY (account_id, what)
);
COMMENT ON TABLE allowances IS 'What accounts have used up of what is scarce; a row goes when its allowance is full again.';
COMMENT ON COLUMN allowances.account_id IS 'whose';
COMMENT ON COLUMN allowances.what IS 'of what: a word of the relay''s code';
COMMENT ON COLUMN allowances.full_at IS 'when the allowance is full again';

-- Not keyed by account: what is claimed may be no account at all, and must look the same. It has 2^20 rows at most.
CREATE TABLE recovery_tries (
    slot     integer PRIMARY KEY,
    full_at  timestamptz NOT NULL
);
COMMENT ON TABLE recovery_tries IS 'Tries to recover accounts, real or not, counted in slots; a row goes when its allowance is full again.';
COMMENT ON COLUMN recovery_tries.slot IS '20 bits of the hash of what the account was claimed by';
COMMENT ON COLUMN recovery_tries.full_at IS 'when the allowance is full again';

CREATE TABLE push_subscriptions (
    account_id  uuid PRIMARY KEY REFERENCES accounts ON DELETE CASCADE,
    sealed      bytea NOT NULL CHECK (octet_length(sealed) = 2076)
);
COMMENT ON TABLE push_subscriptions IS 'Where to knock for members who are not connected, if they want that.';
COMMENT ON COLUMN push_subscriptions.account_id IS 'whose';
COMMENT ON COLUMN push_subscriptions.sealed IS 'endpoint and public keys of a push service, encrypted under a key outside the database';

-- Prekeys --------------------------------------------------------------------------------------------------------------

CREATE TABLE standing_prekeys (
    account_id       uuid PRIMARY KEY REFERENCES accounts ON DELETE CASCADE,
    signed_id        integer NOT NULL CHECK (signed_id BETWEEN 1 AND 16777215),
    signed_key       bytea NOT NULL CHECK (octet_length(signed_key) = 33),
    signed_signature bytea NOT NULL CHECK (octet_length(signed_signature) = 64),
    kyber_id         integer NOT NULL CHECK (kyber_id BETWEEN 1 AND 16777215),
    kyber_key        bytea NOT NULL CHECK (octet_length(kyber_key) = 1569),
    kyber_signature  bytea NOT NULL CHECK (octet_length(kyber_signature) = 64)
);
COMMENT ON TABLE standing_prekeys IS 'The signed prekey and the last-resort Kyber prekey of each account, public halves.';
COMMENT ON COLUMN standing_prekeys.account_id IS 'whose';
COMMENT ON COLUMN standing_prekeys.signed_id IS 'id of the signed prekey';
COMMENT ON COLUMN standing_prekeys.signed_key IS 'public signed prekey';
COMMENT ON COLUMN standing_prekeys.signed_signature IS 'XEdDSA of it under the identity key';
COMMENT ON COLUMN standing_prekeys.kyber_id IS 'id of the last-resort Kyber prekey';
COMMENT ON COLUMN standing_prekeys.kyber_key IS 'public last-resort Kyber prekey';
COMMENT ON COLUMN standing_prekeys.kyber_signature IS 'XEdDSA of it under the identity key';

CREATE TABLE prekeys (
    account_id  uuid NOT NULL REFERENCES accounts ON DELETE CASCADE,
    prekey_id   integer NOT NULL CHECK (prekey_id BETWEEN 1 AND 16777215),
    public_key  bytea NOT NULL CHECK (octet_length(public_key) = 33),
    PRIMARY KEY (account_id, prekey_id)
);
COMMENT ON TABLE prekeys IS 'One-time EC prekeys, public halves; a row is deleted as it is handed out.';
COMMENT ON COLUMN prekeys.account_id IS 'whose';
COMMENT ON COLUMN prekeys.prekey_id IS 'id the app gave it';
COMMENT ON COLUMN prekeys.public_key IS 'public one-time prekey';

CREATE TABLE kyber_prekeys (
    account_id  uuid NOT NULL REFERENCES accounts ON DELETE CASCADE,
    prekey_id   integer NOT NULL CHECK (prekey_id BETWEEN 1 AND 16777215),
    public_key  bytea NOT NULL CHECK (octet_length(public_key) = 1569),
    signature   bytea NOT NULL CHECK (octet_length(signature) = 64),
    PRIMARY KEY (account_id, prekey_id)
);
COMMENT ON TABLE kyber_prekeys IS 'One-time Kyber prekeys, public halves; a row is deleted as it is handed out.';
COMMENT ON COLUMN kyber_prekeys.account_id IS 'whose';
COMMENT ON COLUMN kyber_prekeys.prekey_id IS 'id the app gave it';
COMMENT ON COLUMN kyber_prekeys.public_key IS 'public one-time Kyber prekey';
COMMENT ON COLUMN kyber_prekeys.signature IS 'XEdDSA of it under the identity key';
-- Kyber keys do not compress; plain storage out of line spares the attempt.
ALTER TABLE kyber_prekeys ALTER COLUMN public_key SET STORAGE EXTERNAL;

-- The mailbox ----------------------------------------------------------------------------------------------------------

CREATE SEQUENCE envelope_seq CACHE 1;

-- Partitioned by the week in the envelope id (UUIDv7): what expires goes by partition, not by row. relay/partitions.py makes them ahead.
CREATE TABLE envelopes (
    account_id   uuid NOT NULL,
    envelope_id  uuid NOT NULL,
    seq          bigint NOT NULL,
    arrived_at   bigint NOT NULL,
    by_number    boolean NOT NULL,
    body         bytea NOT NULL CHECK (octet_length(body) IN (1024, 4096, 16384, 65536)),
    PRIMARY KEY (account_id, envelope_id)
) PARTITION BY RANGE (envelope_id);
COMMENT ON TABLE envelopes IS 'Sealed envelopes that wait for their recipient; a row is deleted when the recipient acknowledges it, at the latest 30 days (rounded up to the week) after arrival.';
COMMENT ON COLUMN envelopes.account_id IS 'the recipient';
COMMENT ON COLUMN envelopes.envelope_id IS 'UUIDv7 of the sender''s making, its time rounded to the hour';
COMMENT ON COLUMN envelopes.seq IS 'order of arrival';
COMMENT ON COLUMN envelopes.arrived_at IS 'arrival, whole seconds since 1970';
COMMENT ON COLUMN envelopes.by_number IS 'came under the number access key (a stranger''s share of the mailbox is smaller)';
COMMENT ON COLUMN envelopes.body IS 'sealed body, one of four sizes; the relay cannot read it';
-- Ciphertext does not compress. (Partitions inherit it.)
ALTER TABLE envelopes ALTER COLUMN body SET STORAGE EXTERNAL;
-- Pages are read in order of arrival.
CREATE INDEX envelopes_in_order ON envelopes (account_id, seq) WHERE seq > 0;

-- Signals --------------------------------------------------------------------------------------------------------------

-- Worthless after a minute, so not worth a WAL record: UNLOGGED, emptied by a crash.
CREATE UNLOGGED TABLE signals (
    account_id   uuid NOT NULL,
    signal_id    uuid NOT NULL,
    seq          bigint NOT NULL,
    expires_at   timestamptz NOT NULL,
    body         bytea NOT NULL CHECK (octet_length(body) IN (1024, 4096, 16384, 65536)),
    PRIMARY KEY (account_id, signal_id)
);
COMMENT ON TABLE signals IS 'Sealed call signals and typing, at most 60 seconds each.';
COMMENT ON COLUMN signals.account_id IS 'the recipient';
COMMENT ON COLUMN signals.signal_id IS 'UUIDv7 of the sender''s making, its time rounded to the hour';
COMMENT ON COLUMN signals.seq IS 'order of arrival';
COMMENT ON COLUMN signals.expires_at IS 'when it is worthless';
COMMENT ON COLUMN signals.body IS 'sealed body, one of four sizes; the relay cannot read it';
ALTER TABLE signals ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE INDEX signals_by_expiry ON signals (expires_at);
