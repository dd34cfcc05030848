-- +goose Up

-- Parts of destinations that the configuration names no more while something
-- waits for them: it is held, and dead when its time of grace is over.
CREATE TABLE removals (
    destination TEXT    NOT NULL,
    part        TEXT    NOT NULL,       -- channel, or direct
    reason      TEXT    NOT NULL,
    since       INTEGER NOT NULL,
    PRIMARY KEY (destination, part)
) WITHOUT ROWID;
