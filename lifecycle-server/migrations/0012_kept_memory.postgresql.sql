-- What the memory of a stopped sandbox takes of its server's disk.
ALTER TABLE sandboxes ADD COLUMN kept_bytes BIGINT NOT NULL DEFAULT 0;
