-- what: room in the pages of accounts, so that the update of each session touches no index; an index that only pages use
-- compatible-from: 1
-- before: aea752755caf0805bfbede46200862983ecf594c077ade7429e6730acde1e742

-- What the relay keeps about the schema itself. Version 1 was published with less.
ALTER TABLE relay_schema ADD COLUMN IF NOT EXISTS compatible_from integer NOT NULL DEFAULT 1;
ALTER TABLE relay_schema ALTER COLUMN compatible_from DROP DEFAULT;
COMMENT ON COLUMN relay_schema.compatible_from IS 'the oldest version whose relays can work with it';

CREATE TABLE IF NOT EXISTS relay_migrations (
    version      integer PRIMARY KEY,
    fingerprint  text NOT NULL
);
COMMENT ON TABLE relay_migrations IS 'The steps that were taken here, from one version of the schema to the next.';
COMMENT ON COLUMN relay_migrations.version IS 'version that the step leads to';
COMMENT ON COLUMN relay_migrations.fingerprint IS 'SHA-256 of the step without comments and white space';

-- For pages to come; in those that are there, what updates leave is used. Takes no lock that a session waits for.
ALTER TABLE accounts SET (fillfactor = 80);

-- The index in order of arrival is partial, so that look-ups by key cannot be planned over it (docs/decisions/0032). While it is made anew, posts wait:
-- about a tenth of a second for each hundred thousand envelopes.
DROP INDEX envelopes_in_order;
CREATE INDEX envelopes_in_order ON envelopes (account_id, seq) WHERE seq > 0;
