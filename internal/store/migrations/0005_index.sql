-- +goose Up

-- Replays start after everything else of their lane. Rows that were made by
-- routing an event again are late, too, and may repeat no delivery.
ALTER TABLE deliveries ADD COLUMN late INTEGER NOT NULL DEFAULT 0;
UPDATE deliveries SET late = 1 WHERE replay_of IS NOT NULL;
DROP INDEX deliveries_open;
CREATE INDEX deliveries_open ON deliveries (destination, direct, late, due, seq) WHERE finished IS NULL;

-- What went wrong is searched by its words; of what went well there are none.
CREATE INDEX deliveries_reason ON deliveries (reason) WHERE reason <> '';

-- The index of the log. It is made while the writer has nothing else to do, in
-- the order of acceptance: up to the seq in meta. Newer rows are looked through.

-- log_text finds a delivery (its rowid is the seq) by any three characters in
-- a row of its event's title or key, or of its recipient. It keeps no texts, so
-- taking a row out needs the same texts again. They are folded before.
CREATE VIRTUAL TABLE log_text USING fts5 (text, recipient, content = '', columnsize = 0, detail = column, tokenize = 'trigram case_sensitive 1');
CREATE VIRTUAL TABLE log_terms USING fts5vocab (log_text, row);

-- log_facets lists the rows that have something in common: d and a destination
-- or t and a type for deliveries, T and a type or S and a source for events.
CREATE TABLE log_facets (
    facet TEXT    NOT NULL,
    seq   INTEGER NOT NULL,
    PRIMARY KEY (facet, seq)
) WITHOUT ROWID;

-- log_spans says between which times the rows of a block were created: a block
-- is 1024 seqs of deliveries (d) or of events (e).
CREATE TABLE log_spans (
    kind  TEXT    NOT NULL,
    block INTEGER NOT NULL,
    low   INTEGER NOT NULL,
    high  INTEGER NOT NULL,
    PRIMARY KEY (kind, block)
) WITHOUT ROWID;

INSERT INTO meta (name, value) VALUES ('indexed_deliveries', 0), ('indexed_events', 0);
