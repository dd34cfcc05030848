-- +goose Up

-- Direct messages. user and match tell who was found for the recipient;
-- fallback is the policy that the event was accepted with (empty: never).
ALTER TABLE deliveries ADD COLUMN direct INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deliveries ADD COLUMN user TEXT NOT NULL DEFAULT '';
ALTER TABLE deliveries ADD COLUMN match TEXT;
ALTER TABLE deliveries ADD COLUMN fallback TEXT NOT NULL DEFAULT '';
-- The channel delivery that direct messages fell back to: one for an event and
-- a destination, whoever decides it.
ALTER TABLE deliveries ADD COLUMN fell_back INTEGER NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX deliveries_fell_back ON deliveries (event_seq, destination) WHERE fell_back = 1;

-- The parts of a destination are claimed apart.
DROP INDEX deliveries_open;
CREATE INDEX deliveries_open ON deliveries (destination, direct, due, seq) WHERE finished IS NULL;

-- What the providers' look-ups said of people; user is empty where there is
-- nobody. until is in unix milliseconds.
CREATE TABLE identities (
    account TEXT    NOT NULL,
    by      TEXT    NOT NULL,
    value   TEXT    NOT NULL,
    user    TEXT    NOT NULL,
    until   INTEGER NOT NULL,
    PRIMARY KEY (account, by, value)
) WITHOUT ROWID;
