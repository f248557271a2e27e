-- Servers that share this database. Each owns what lies on its host; in a database of one server the owner is ''.
CREATE TABLE servers (
    id        TEXT PRIMARY KEY,
    address   TEXT NOT NULL,
    boot      TEXT NOT NULL,
    place     TEXT NOT NULL,
    heartbeat BIGINT NOT NULL
);

ALTER TABLE sandboxes ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE snapshots ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE pools ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE pool_members ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE templates ADD COLUMN owner TEXT NOT NULL DEFAULT '';
