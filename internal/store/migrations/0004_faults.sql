-- +goose Up

-- What was claimed for a lane with a rate: its starts are counted again after a
-- restart. Others stand in no index for it.
ALTER TABLE deliveries ADD COLUMN paced INTEGER NOT NULL DEFAULT 0;
UPDATE deliveries SET paced = 1 WHERE updated >= (unixepoch() - 3700) * 1000;
CREATE INDEX deliveries_paced ON deliveries (destination, direct, updated) WHERE paced = 1;

-- A pause that lasts as long as its plugin cannot be used.
ALTER TABLE pauses ADD COLUMN unavailable INTEGER NOT NULL DEFAULT 0;
