-- Whose snapshots, templates and pools are whose. Without a tenant they are the server's own.
ALTER TABLE snapshots ADD COLUMN tenant TEXT;
ALTER TABLE snapshots ADD COLUMN bytes BIGINT;
ALTER TABLE templates ADD COLUMN tenant TEXT;

-- Each tenant has its own names; the empty one stands for no tenant, since nothing of a key may be missing.
CREATE TABLE owned_pools (
    tenant     TEXT NOT NULL,
    name       TEXT NOT NULL,
    uid        TEXT NOT NULL,
    quota      TEXT,
    recipe     TEXT NOT NULL,
    revision   TEXT NOT NULL,
    buffer_max BIGINT NOT NULL,
    buffer_min BIGINT NOT NULL,
    pool_max   BIGINT NOT NULL,
    pool_min   BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    deleting   BIGINT NOT NULL,
    PRIMARY KEY (tenant, name)
);

INSERT INTO owned_pools (tenant, name, uid, quota, recipe, revision, buffer_max, buffer_min, pool_max, pool_min,
    created_at, deleting)
SELECT '', name, uid, NULL, recipe, revision, buffer_max, buffer_min, pool_max, pool_min, created_at, deleting
FROM pools;

DROP TABLE pools;

ALTER TABLE owned_pools RENAME TO pools;
