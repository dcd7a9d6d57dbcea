-- What version 1 kept beside its schema.sql.
CREATE TABLE relay_schema (
    version      integer NOT NULL,
    fingerprint  text NOT NULL
);
COMMENT ON TABLE relay_schema IS 'Which schema this is; one row.';
COMMENT ON COLUMN relay_schema.version IS 'version of schema.sql';
COMMENT ON COLUMN relay_schema.fingerprint IS 'SHA-256 of schema.sql without comments and white space';
