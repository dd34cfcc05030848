-- +goose Up

-- Times are unix milliseconds. Every seq is a rowid: rows lie on disk in the
-- order of acceptance, and writing them touches the last page only.

-- meta holds single numbers. run counts how often the store was opened and
-- makes the claims of one process differ from those of every other.
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO meta (name, value) VALUES ('run', 0);

CREATE TABLE events (
    seq        INTEGER PRIMARY KEY,
    id         TEXT    NOT NULL UNIQUE, -- relay's own
    key        TEXT    NOT NULL,        -- the sender's, or empty
    source     TEXT    NOT NULL,
    type       TEXT    NOT NULL,
    level      TEXT    NOT NULL,
    title      TEXT    NOT NULL,
    body       TEXT    NOT NULL,        -- the canonical JSON
    original   BLOB,                    -- what a source's sender really sent
    digest     BLOB    NOT NULL,
    created    INTEGER NOT NULL,
    deliveries INTEGER NOT NULL         -- how many were made when it was accepted
);
CREATE UNIQUE INDEX events_key ON events (source, key) WHERE key <> '';
-- Events that nobody wanted: pruning finds the others through their deliveries.
CREATE INDEX events_unwanted ON events (created) WHERE deliveries = 0;

CREATE TABLE deliveries (
    seq         INTEGER PRIMARY KEY,
    id          TEXT    NOT NULL UNIQUE,
    event_seq   INTEGER NOT NULL,
    destination TEXT    NOT NULL,
    provider    TEXT    NOT NULL,
    recipient   TEXT    NOT NULL,       -- the JSON of a person, or empty for the channel
    state       TEXT    NOT NULL,       -- pending, sending, delivered, dead, expired, skipped
    reason      TEXT    NOT NULL DEFAULT '',
    attempts    INTEGER NOT NULL DEFAULT 0, -- recorded ones
    ambiguous   INTEGER NOT NULL DEFAULT 0, -- those that the recipient may have seen
    waited      INTEGER NOT NULL DEFAULT 0, -- milliseconds that it was due and not claimed
    due         INTEGER NOT NULL,
    claim       INTEGER NOT NULL DEFAULT 0, -- the fence of the one who is sending it
    created     INTEGER NOT NULL,
    updated     INTEGER NOT NULL,
    finished    INTEGER,                -- null while it is open
    replay_of   TEXT
);
-- Open deliveries in the order in which they start. Claiming and giving back
-- touch no column of it, so most updates leave it alone.
CREATE INDEX deliveries_open ON deliveries (destination, due, seq) WHERE finished IS NULL;
CREATE INDEX deliveries_event ON deliveries (event_seq);
CREATE INDEX deliveries_finished ON deliveries (finished) WHERE finished IS NOT NULL;
-- The log is most often asked for what went wrong, which is rare.
CREATE INDEX deliveries_failed ON deliveries (state, seq) WHERE finished IS NOT NULL AND state <> 'delivered';

CREATE TABLE pauses (
    destination TEXT    NOT NULL,
    part        TEXT    NOT NULL,       -- channel, or direct
    reason      TEXT    NOT NULL,
    since       INTEGER NOT NULL,
    manual      INTEGER NOT NULL,
    settings    TEXT    NOT NULL,
    probe       INTEGER NOT NULL,       -- one delivery may be tried now and then
    PRIMARY KEY (destination, part)
) WITHOUT ROWID;

-- key is delivery_seq * 2^20 + attempt: the attempts of a delivery lie side by
-- side and need no index.
CREATE TABLE attempts (
    key               INTEGER PRIMARY KEY,
    delivery_seq      INTEGER GENERATED ALWAYS AS (key >> 20) VIRTUAL,
    attempt           INTEGER GENERATED ALWAYS AS (key & 1048575) VIRTUAL,
    started           INTEGER NOT NULL,
    duration          INTEGER NOT NULL, -- milliseconds
    verdict           TEXT    NOT NULL,
    template          TEXT    NOT NULL,
    template_revision TEXT    NOT NULL,
    retry_after       INTEGER,          -- milliseconds
    receipt           TEXT    NOT NULL,
    error             TEXT    NOT NULL,
    detail            TEXT              -- JSON: template_error, message, request, response
);
