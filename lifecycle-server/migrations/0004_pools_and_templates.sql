-- Instants are microseconds since 1970-01-01T00:00:00Z.
CREATE TABLE pools (
    name       TEXT PRIMARY KEY,
    uid        TEXT NOT NULL,
    recipe     TEXT NOT NULL,
    revision   TEXT NOT NULL,
    buffer_max BIGINT NOT NULL,
    buffer_min BIGINT NOT NULL,
    pool_max   BIGINT NOT NULL,
    pool_min   BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    deleting   BIGINT NOT NULL
);

-- Sandboxes without an owner. With its owner a member leaves this table for that of the sandboxes.
CREATE TABLE pool_members (
    id          TEXT PRIMARY KEY,
    pool        TEXT NOT NULL,
    slot        BIGINT NOT NULL,
    address     TEXT NOT NULL,
    execd_token TEXT NOT NULL,
    ready       BIGINT NOT NULL
);

CREATE TABLE templates (
    id           TEXT PRIMARY KEY,
    document     TEXT NOT NULL,
    phase        TEXT NOT NULL,
    message      TEXT,
    image_id     TEXT,
    manifest_ref TEXT,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL
);
